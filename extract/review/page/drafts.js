// What is typed and not yet decided, kept in this tab through a reload and a restart of the server.

const KEY = "review-draft:";
const WAIT = 150; // milliseconds after the last key

let waiting = null;

function write() {
  if (!waiting) return;
  const { number, draft } = waiting;
  waiting = null;
  try {
    sessionStorage.setItem(KEY + number, JSON.stringify(draft()));
  } catch {
    // A full store: the draft still stands on the page.
  }
}

let timer = 0;
/** Keep what `draft()` returns once the typing pauses, or the page goes. */
export function keepDraft(number, draft) {
  if (waiting && waiting.number !== number) write();
  waiting = { number, draft };
  clearTimeout(timer);
  timer = setTimeout(write, WAIT);
}

/** Return the draft of a row, if the answer below it is still the same. */
export function draftOf(number, answerHash) {
  try {
    const draft = JSON.parse(sessionStorage.getItem(KEY + number));
    return draft?.answer_hash === answerHash ? draft : null;
  } catch {
    return null;
  }
}

export function dropDraft(number) {
  if (waiting?.number === number) waiting = null;
  sessionStorage.removeItem(KEY + number);
}

addEventListener("pagehide", write);
