// The way of one record: shown, decided, and the next one; back by undo.

import * as api from "./api.js";
import { notice, persistently } from "./connection.js";
import { announce, button, byId, count, el } from "./dom.js";
import { draftOf, dropDraft, keepDraft, writeDraft } from "./drafts.js";
import { firstPageAhead } from "./pages_source.js";
import { showEnd } from "./progress_view.js";
import { Rows } from "./rows.js";
import { showSource } from "./source.js";
import { Watch } from "./watch.js";

const SMALL = 1200; // characters
const DONE = { right: "right", corrected: "corrected", skipped: "skipped" };

export class Desk {
  /** `told` has functions: progress(progress), moved(number), decided(number, state), offer(text, take). */
  constructor(task, form, told) {
    Object.assign(this, { task, form, told });
    this.rows = new Rows();
    this.watch = new Watch();
    this.row = null;
    this.source = null;
    this.isBusy = false;
    this.typed = new Map(); // what the last rows were decided with, for when they are taken back
  }

  /** Do one thing at a time; keys pressed while the server is asked are not for the record that goes. */
  async #alone(work) {
    if (this.isBusy) return;
    this.isBusy = true;
    byId("answer").setAttribute("aria-busy", "true");
    try {
      await work();
    } catch (error) {
      notice(error.message);
      if (!(error instanceof api.Refused)) throw error;
    } finally {
      this.isBusy = false;
      byId("answer").removeAttribute("aria-busy");
    }
  }

  open(number) {
    return this.#alone(() => this.#open(number));
  }

  async #open(number, typed = null) {
    if (!number) return;
    const row = await persistently(() => this.rows.get(number));
    writeDraft();
    this.#show(row, typed ?? draftOf(number, row.answer_hash));
  }

  #show(row, draft) {
    notice();
    this.row = row;
    // A skipped row holds no values: it is shown as it was before.
    const { values = null, spans } = draft ?? (row.decision?.values ? row.decision : row);
    document.body.classList.toggle("stacked", this.form.isSingleChoice && isSmall(row.source));
    this.source?.close();
    this.source = showSource(row, {
      picked: (path) => this.#picked(path),
      selected: (text, span) => this.#selected(text, span),
      returned: () => (this.form.active ? this.form.active.focus() : this.form.home()),
      offer: (text, take) => this.told.offer(text, take),
    });
    this.told.offer(null);
    this.form.show(values, row.values ?? null, withBoxes(spans ?? [], row.spans));
    this.isUntouched = values === null || values === undefined; // an empty form is not an answer by one slip of a key
    this.source.mark(this.form.spans);
    document.body.classList.remove("finished");
    byId("done").hidden = true;
    byId("source").scrollTop = 0;
    byId("form").scrollTop = 0;
    byId("record").scrollTop = 0;
    this.#where(draft);
    this.form.home();
    this.watch.start();
    this.told.moved(row.number);
    this.rows.ahead(row.number).then(firstPageAhead);
  }

  #where(draft) {
    const { row, task } = this;
    byId("position").textContent = `${count(row.number)} of ${count(task.total)}`;
    const state = row.decision ? `You said: ${DONE[row.decision.action] ?? row.decision.action}` : "";
    const why = [row.reason, typeof row.score === "number" ? `score ${row.score.toFixed(2)}` : ""].filter(Boolean).join(", ");
    byId("reason").textContent = [isNamed(row.row_id) && `row ${row.row_id}`, state, why, draft && "what you typed before is back"].filter(Boolean).join(" · ");
    byId("previous").disabled = !row.previous;
    byId("next").disabled = !row.next;
    announce(`Row ${row.number} of ${task.total}. ${state}`);
  }

  // Deciding -----------------------------------------------------------------------------------------------------------

  accept() {
    if (this.isBusy || !this.row) return Promise.resolve();
    const { problems } = this.form;
    if (problems.length) {
      this.form.showProblems(problems);
      return Promise.resolve();
    }
    if (this.isUntouched) {
      this.isUntouched = false;
      notice("Nothing is filled in. Press Enter once more if that is the answer.");
      return Promise.resolve();
    }
    return this.#decide({ action: "decided", values: this.form.values, spans: this.form.spans.map(sent) });
  }

  skip() {
    return this.#decide({ action: "skipped" });
  }

  #decide(said) {
    const { row } = this;
    if (!row || document.body.classList.contains("finished")) return Promise.resolve();
    return this.#alone(async () => {
      const decision = { ...said, answer_hash: row.answer_hash, seconds: this.watch.seconds };
      const draft = { values: this.form.values, spans: this.form.spans };
      byId("form").inert = true;
      try {
        await this.#decided(row, await this.#sent(row, decision), draft);
      } catch (error) {
        byId("form").inert = false;
        await this.#refused(error);
      } finally {
        byId("form").inert = false;
      }
    });
  }

  /** Send until it is stored. After a broken call the row is read again, so that nothing is stored twice. */
  #sent(row, decision) {
    let isRetry = false;
    return persistently(async () => {
      const again = isRetry ? await api.getRow(row.number) : null;
      isRetry = true;
      if (!again?.decision || again.decision.id === row.decision?.id || !isSame(again.decision, decision)) return api.decide(row.number, decision);
      const [progress, { next }] = [await api.getProgress(), await api.getNext(row.number)];
      return { decision: again.decision, progress, next };
    });
  }

  async #decided(row, { decision, progress, next }, draft) {
    dropDraft(row.number);
    this.typed.set(row.number, draft);
    if (this.typed.size > 50) this.typed.delete(this.typed.keys().next().value);
    this.rows.forget(row.number);
    this.told.progress(progress);
    this.told.decided(row.number, decision.action);
    if (next === null || next === undefined) this.#finish(progress);
    else await this.#open(next);
  }

  async #refused(error) {
    if (!(error instanceof api.Refused)) throw error;
    if (error.code === "changed") {
      this.rows.forget(this.row.number);
      await this.#open(this.row.number);
      notice("The answer of this row has changed since it was shown: look at it again.");
    } else if (error.problems.length) {
      this.form.showProblems(error.problems);
      announce(`${error.problems.length} messages at the fields`);
    } else throw error;
  }

  undo() {
    return this.#alone(async () => {
      const { undone, progress } = await persistently(() => api.undo());
      this.told.progress(progress);
      if (undone === null) return announce("There is nothing to undo.");
      this.rows.forget(undone);
      this.told.decided(undone, "open");
      const typed = this.typed.get(undone);
      await this.#open(undone, typed);
      const { answer_hash } = this.row;
      if (typed) keepDraft(undone, () => ({ answer_hash, ...typed }));
      return announce(`Taken back: row ${undone}`);
    });
  }

  #finish(progress) {
    document.body.classList.add("finished");
    byId("position").textContent = "All rows are decided";
    byId("reason").textContent = "";
    byId("done").hidden = false;
    const back = button(["Take the last one back ", el("kbd", {}, "u")], () => this.undo());
    showEnd(byId("done"), progress, [button("Show the first row", () => this.open(1)), back]);
    announce("All rows are decided.");
    byId("record").focus();
  }

  // Between the form and the source -------------------------------------------------------------------------------------

  changed() {
    const { row } = this;
    if (this.isUntouched) notice();
    this.isUntouched = false;
    this.source.mark(this.form.spans, this.form.active?.path);
    keepDraft(row.number, () => ({ answer_hash: row.answer_hash, values: this.form.values, spans: this.form.spans }));
  }

  find(control) {
    this.source?.find(control.path);
  }

  #picked(path) {
    this.form.at(path)?.focus();
    this.source.find(path);
  }

  #selected(text, span) {
    this.told.offer(null);
    if (!this.form.fill(text, span)) announce("Go to a field first: the selected text is put into it.");
  }
}

const isSame = (stored, decision) =>
  (stored.action === "skipped") === (decision.action === "skipped") &&
  JSON.stringify(stored.values ?? null) === JSON.stringify(decision.values ?? null);
const isNamed = (value) => value !== null && value !== undefined;

/** Whether a source needs so little room that its labels can stand below it. */
function isSmall(source) {
  if (source?.kind === "text") return (source.columns ?? []).reduce((sum, column) => sum + (column.text?.length ?? 0), 0) < SMALL;
  return source?.kind === "audio" || source?.kind === "missing";
}

const sent = ({ path, start, end, column = null, page = null }) => ({ path, start, end, column, page });

/** A decision keeps no boxes: they come from the answer's spans where these stand at the same place. */
function withBoxes(spans, answered) {
  const boxes = new Map((answered ?? []).map((span) => [`${span.start}-${span.end}`, span]));
  return spans.map((span) => ({ ...span, boxes: span.boxes ?? boxes.get(`${span.start}-${span.end}`)?.boxes ?? [] }));
}
