// The token of this server: it comes in the fragment of the link, lives in the tab, and goes out in one header only.

const KEY = "review-token";
const channel = typeof BroadcastChannel === "function" ? new BroadcastChannel("review-token") : null;

const inFragment = (fragment) => new URLSearchParams(fragment.replace(/^#/, "")).get("token");

export const token = () => sessionStorage.getItem(KEY) ?? "";

/** Keep the token of the address, and take it out of the address bar and of the history. */
export function takeFromAddress() {
  const found = inFragment(location.hash);
  if (!found) return false;
  sessionStorage.setItem(KEY, found);
  history.replaceState(null, "", location.pathname);
  channel?.postMessage(found); // tabs that wait for the link of a restarted server go on
  return true;
}

/** Take the token of a link that a person pastes; false where there is none. A link of another server is opened. */
export function takeFromLink(text) {
  let address;
  try {
    address = new URL(text.trim(), location.href);
  } catch {
    return false;
  }
  const found = inFragment(address.hash);
  if (!found || !/^https?:$/.test(address.protocol)) return false;
  if (address.origin !== location.origin) location.assign(address.href);
  else sessionStorage.setItem(KEY, found);
  return true;
}

/** Call `renewed` with each new token: from the address, or from another tab of this server. */
export function onNewToken(renewed) {
  addEventListener("hashchange", () => takeFromAddress() && renewed());
  channel?.addEventListener("message", ({ data }) => {
    if (typeof data !== "string") return;
    renewed(data);
  });
}

export const keep = (found) => sessionStorage.setItem(KEY, found);
