// What is typed and not yet decided, kept in this tab through a reload and a restart of the server.

let key = "review-draft:";
const WAIT = 150; // milliseconds after the last key

/** Keep drafts apart by what is reviewed, and by whom. */
export function draftsOf({ title, person, blind }) {
  key = `review-draft:${JSON.stringify([title, person, blind])}:`;
}

let waiting = null;

/** Write what waits, now: before another record fills the form, and as the page goes. */
export function writeDraft() {
  if (!waiting) return;
  const { number, draft } = waiting;
  waiting = null;
  try {
    sessionStorage.setItem(key + number, JSON.stringify(draft()));
  } catch {
    // A full store: the draft still stands on the page.
  }
}

let timer = 0;
/** Keep what `draft()` returns once the typing pauses, or the page goes. */
export function keepDraft(number, draft) {
  if (waiting && waiting.number !== number) writeDraft();
  waiting = { number, draft };
  clearTimeout(timer);
  timer = setTimeout(writeDraft, WAIT);
}

/** Return the draft of a row, if the answer below it is still the same. */
export function draftOf(number, answerHash) {
  try {
    const draft = JSON.parse(sessionStorage.getItem(key + number));
    return draft?.answer_hash === answerHash ? draft : null;
  } catch {
    return null;
  }
}

export function dropDraft(number) {
  if (waiting?.number === number) waiting = null;
  sessionStorage.removeItem(key + number);
}

addEventListener("pagehide", writeDraft);
