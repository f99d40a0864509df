// Keys of the whole page. In a field letters are text: only Enter, Escape and keys with Ctrl or Alt are commands there.

import { controlOf } from "./control.js";
import { byId, isEditable } from "./dom.js";

const isOption = (node) => node instanceof HTMLElement && node.matches(".option");
const isPressed = (node) => node instanceof HTMLElement && node.matches("button, summary, a, input[type=checkbox], input[type=radio]");

/** Listen to the keys; `page` has desk, form, help(), list, and toggleAtOnce(). */
export function listen(page) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || byId("help").open) return;
    const act = action(event, page);
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function action(event, page) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey) return key === "Enter" && !event.repeat ? () => page.desk.accept() : null;
  if (event.altKey) return withAlt(event, page);
  // A key that is held down decides one record, not one after the other.
  if (key === "Enter") return event.repeat && !isNewLine(event) ? () => {} : enter(event, page);
  if (key === "Escape") return () => leave(page);
  if (isEditable(target)) return null;
  if (key === " ") return isPressed(target) ? null : space(page);
  if (key === "Tab" || event.repeat) return null;
  return command(key, page);
}

/** Keys that mean the same in a field and outside. */
function withAlt({ code, target }, { desk }) {
  if (code === "KeyN") return controlOf(target) ? () => controlOf(target).turn() : null;
  return code === "KeyT" ? () => desk.source?.enter() : null;
}

const isNewLine = ({ target, shiftKey }) => target.localName === "textarea" && (shiftKey || target.classList.contains("json"));

/** Enter accepts; on a button it presses, on an option that is not chosen it chooses, in JSON it is a new line. */
function enter(event, { desk }) {
  const { target } = event;
  if (isOption(target)) return target.getAttribute("aria-checked") === "true" && target.role === "radio" ? () => desk.accept() : null;
  if (isPressed(target) && !target.matches("input[type=radio]")) return null;
  if (isNewLine(event)) return null;
  if (isEditable(target) && !byId("form").contains(target)) return null;
  return () => desk.accept();
}

function leave({ form }) {
  byId("progress").querySelector("details")?.removeAttribute("open");
  form.home();
}

function space({ desk }) {
  return desk.source?.toggle ? () => desk.source.toggle() : null;
}

function command(key, { desk, form, list, help, toggleAtOnce }) {
  if (/^[0-9]$/.test(key)) return form.choice ? () => form.choice.digit(key) : null;
  const go = (number) => (number ? () => desk.open(number) : null);
  const zoom = (by) => () => byId("source").querySelector(`[data-zoom="${by}"]`)?.click();
  const commands = {
    "/": () => search(form),
    "?": help,
    s: () => desk.skip(),
    u: () => desk.undo(),
    a: toggleAtOnce,
    l: list,
    i: () => form.host.classList.toggle("described"),
    t: () => desk.source?.enter(),
    "+": zoom(1),
    "=": zoom(1),
    "-": zoom(-1),
    ArrowLeft: go(desk.row?.previous),
    ArrowRight: go(desk.row?.next),
    ArrowDown: () => first(form),
  };
  return Object.hasOwn(commands, key) ? commands[key] : (Object.hasOwn(commands, key.toLowerCase()) && key.length === 1 ? commands[key.toLowerCase()] : null);
}

function search(form) {
  const { choice } = form;
  const searched = choice?.hasSearch ? choice : form.choices.find((one) => one.hasSearch);
  if (searched) searched.startSearch();
  else choice?.focus();
}

/** From the record into its first field. */
function first(form) {
  if (document.activeElement === form.host || !form.host.contains(document.activeElement)) form.root.children[0]?.focus();
}
