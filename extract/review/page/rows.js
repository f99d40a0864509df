// Records that were fetched a moment ago, so that the next one stands ready when a person decides.

import { getNext, getRow } from "./api.js";

const KEPT = 6;

export class Rows {
  constructor() {
    this.fetched = new Map();
  }

  get(number) {
    const found = this.fetched.get(number);
    if (found) return found;
    const fetching = getRow(number);
    this.fetched.set(number, fetching);
    fetching.catch(() => this.fetched.delete(number)); // asked again the next time
    while (this.fetched.size > KEPT) this.fetched.delete(this.fetched.keys().next().value);
    return fetching;
  }

  /** Fetch what a person sees after this record: the next open one. Return it, or null. */
  async ahead(number) {
    try {
      const { next } = await getNext(number);
      return next === null || next === number ? null : await this.get(next);
    } catch {
      return null;
    }
  }

  forget(number) {
    this.fetched.delete(number);
  }

  forgetAll() {
    this.fetched.clear();
  }
}
