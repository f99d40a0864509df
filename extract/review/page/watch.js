// Seconds that a record was looked at; a tab in the background does not count.

export class Watch {
  constructor() {
    this.start();
    document.addEventListener("visibilitychange", () => this.#turn());
  }

  start() {
    this.passed = 0;
    this.since = document.hidden ? null : performance.now();
  }

  #turn() {
    if (document.hidden && this.since !== null) this.passed += performance.now() - this.since;
    this.since = document.hidden ? null : performance.now();
  }

  get seconds() {
    const running = this.since === null ? 0 : performance.now() - this.since;
    return Math.round((this.passed + running) / 10) / 100;
  }
}
