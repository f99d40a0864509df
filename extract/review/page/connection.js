// A server that is away, or was started anew with another token: the page says so, keeps everything, and goes on.

import { getProgress, Refused, Unreachable } from "./api.js";
import { byId, button, el } from "./dom.js";
import { keep, onNewToken, takeFromLink } from "./token.js";

const PAUSE = 1500; // milliseconds between two looks for the server

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
const needsLink = (error) => error instanceof Refused && error.status === 401;

let renew = () => {};
onNewToken((handed) => {
  if (handed) {
    if (!isWaitingForLink) return; // a token of another tab is taken only where one is missing
    keep(handed);
  }
  renew();
});

export function notice(...content) {
  const box = byId("notice");
  box.replaceChildren(...content);
  box.hidden = content.length === 0;
}

let isWaitingForLink = false;

/** Ask for the link of the running server; go on when one is pasted, opened here, or opened in another tab. */
async function newLink() {
  const box = el("input", { type: "text", id: "link", autocomplete: "off", spellcheck: "false", placeholder: "http://127.0.0.1:…/#token=…" });
  const words = el("span", {}, "This server wants its own link: paste the one that ", el("code", {}, "extract review"), " prints, or open it. What you typed is kept.");
  const use = button("Go on", () => take());
  const wrong = el("span", { role: "alert" });
  const take = () => {
    if (takeFromLink(box.value)) renew();
    else wrong.textContent = "That is no link with a token.";
  };
  box.addEventListener("paste", () => setTimeout(take));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    take();
  });
  notice(words, el("label", { for: "link", class: "unseen" }, "Link"), box, use, wrong);
  isWaitingForLink = true;
  await new Promise((resolve) => (renew = resolve));
  isWaitingForLink = false;
  renew = () => {};
  notice();
}

async function untilBack() {
  notice("The server cannot be reached. What you typed is kept here; trying again …");
  for (;;) {
    await pause(PAUSE);
    try {
      await getProgress();
      break;
    } catch (error) {
      if (!(error instanceof Unreachable)) break;
    }
  }
  notice();
}

/** Return what a call returns, however long the server is away; other errors are thrown. */
export async function persistently(call) {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (error instanceof Unreachable) await untilBack();
      else if (needsLink(error)) await newLink();
      else throw error;
    }
  }
}
