// Opens the page: the token of the link, the task and its form, then record after record.

import { getProgress, getTask } from "./api.js";
import { notice, persistently } from "./connection.js";
import { Desk } from "./desk.js";
import { button, byId } from "./dom.js";
import { draftsOf } from "./drafts.js";
import { Form } from "./form.js";
import { makeHelp } from "./help.js";
import { listen } from "./keys.js";
import { showProgress } from "./progress_view.js";
import { TaskList } from "./task_list.js";
import { takeFromAddress } from "./token.js";

const AT_ONCE = "review-next-at-once";
const LAST = "review-last-row";

function describe(task) {
  document.title = `${task.title} – review`;
  byId("title").textContent = task.title;
  const facts = [task.person, task.blind ? "blind" : null, task.kind === "queue" ? "queue" : null].filter(Boolean);
  byId("facts").replaceChildren(...facts.map((fact) => Object.assign(document.createElement("span"), { className: "fact", textContent: fact })));
}

/** A single choice may go to the next record as soon as it is made; a person may turn that off. */
function atOnceSwitch(form) {
  const box = byId("at-once-box");
  byId("at-once").hidden = !form.isSingleChoice;
  box.checked = form.isSingleChoice && localStorage.getItem(AT_ONCE) !== "no";
  box.addEventListener("change", () => {
    localStorage.setItem(AT_ONCE, box.checked ? "yes" : "no");
    form.home();
  });
  return box;
}

/** On a touch screen, a button puts the selected text into the field at hand. */
function offer(text, take) {
  document.getElementById("offer")?.remove();
  if (text === null) return;
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  const made = button(`Put in “${short}”`, take, { id: "offer", class: "primary" });
  made.addEventListener("pointerdown", (event) => event.preventDefault()); // the selection stays
  byId("actions").prepend(made);
}

function buttons({ desk, help, list, toggleList }) {
  const on = (id, press) => byId(id).addEventListener("click", press);
  on("accept", () => desk.accept());
  on("skip", () => desk.skip());
  on("undo", () => desk.undo());
  on("previous", () => desk.open(desk.row?.previous));
  on("next", () => desk.open(desk.row?.next));
  on("help-button", help);
  on("list-button", toggleList);
  addEventListener("resize", () => list.draw());
}

async function start() {
  takeFromAddress();
  const task = await persistently(getTask);
  describe(task);
  draftsOf(task);
  let desk = null;
  const atOnce = () => byId("at-once-box").checked;
  const form = new Form(byId("form"), task.form, {
    changed: () => desk.changed(),
    chosen: (control, how) => form.isSingleChoice && atOnce() && how !== "turn" && desk.accept(),
    find: (control) => desk.find(control),
    focused: (control) => desk.find(control),
    pages: () => desk?.row?.source?.pages ?? 1,
  });
  const box = atOnceSwitch(form);
  const list = new TaskList(byId("list"), task.total, (number) => {
    if (matchMedia("(max-width: 760px)").matches) toggleList(); // there the list covers the record
    desk.open(number);
  });
  const toggleList = () => {
    list.toggle();
    byId("list-button").setAttribute("aria-expanded", String(list.isOpen));
  };
  desk = new Desk(task, form, {
    progress: (progress) => showProgress(byId("progress"), progress, task.blind),
    moved: (number) => {
      sessionStorage.setItem(LAST, number);
      list.show(number);
    },
    decided: (number, state) => list.mark(number, state),
    offer,
  });
  const help = makeHelp(byId("help"));
  const toggleAtOnce = () => form.isSingleChoice && box.click();
  buttons({ desk, help, list, toggleList });
  listen({ desk, form, help, list: toggleList, toggleAtOnce });
  showProgress(byId("progress"), await persistently(getProgress), task.blind);
  await open(desk, task);
}

/** After a reload the same row as before; else the first that is open. */
async function open(desk, task) {
  const last = Number(sessionStorage.getItem(LAST));
  const number = last >= 1 && last <= task.total ? last : (task.start ?? 1);
  if (task.total === 0) notice("There are no rows to review.");
  else await desk.open(number);
}

start().catch((error) => notice(`The page cannot be opened: ${error.message}`));
