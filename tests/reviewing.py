"""The review page as people meet it: `extract review` in a process of its own, and a person with a keyboard."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["CHROMIUM", "Person", "Seen", "Serving"]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_LINK = re.compile(r"http://127\.0\.0\.1:(\d+)/#token=[\w-]+")


class Serving:
    """A review page in a process of its own; `link` opens it."""

    def __init__(self, *words: str | Path, folder: Path) -> None:
        self._words = [str(word) for word in words]
        self._folder = folder
        self._port = 0
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "extract", "review", *self._words, "--port", str(self._port), "--no-browser"]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=_environment()
        )
        assert self._process.stdout is not None
        lines: list[str] = []
        for line in self._process.stdout:
            lines.append(line)
            if found := _LINK.search(line):
                self.link, self._port = found[0], int(found[1])
                return
        raise AssertionError(f"no link: {''.join(lines)}")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        """End it as a machine does that loses power."""
        self._process.send_signal(signal.SIGKILL)
        self._wait()

    def _wait(self) -> None:
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Serving:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.terminate()
        self._wait()


def _environment() -> dict[str, str]:
    checkout = Path(__file__).resolve().parents[1]
    return {**os.environ, "PYTHONPATH": str(checkout), "COLUMNS": "200"}


class Seen:
    """Messages, dialogs, requests and violations of the page's policy."""

    def __init__(self, page: Any) -> None:
        self.said: list[str] = []
        self.requested: list[str] = []
        page.on("console", lambda message: self._note(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        page.on("popup", lambda popup: self.said.append(f"popup {popup.url}"))
        page.on("request", lambda request: self.requested.append(request.url))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))"
        )

    def _note(self, text: str) -> None:
        # The browser itself reports a server that is away, and answers that are errors.
        if not re.search(r"ERR_CONNECTION_|ERR_EMPTY_RESPONSE|status of (401|409|422)", text):
            self.said.append(text)

    def elsewhere(self, address: str) -> list[str]:
        """Return what was asked of any other address than the server's."""
        return [url for url in self.requested if not url.startswith((f"{address}/", f"blob:{address}/"))]


class Person:
    """Opens a link and works with keys. Each step waits for what the page shows, never for time."""

    def __init__(self, page: Any, link: str) -> None:
        self.page = page
        page.set_default_timeout(15_000)
        self.seen = Seen(page)
        self.address = link.split("/#", maxsplit=1)[0]
        page.goto(link)
        self.ready()

    def ready(self) -> None:
        """Wait until a record is shown, and the page waits for keys."""
        self.page.wait_for_function(
            "() => document.querySelector('#position').textContent !== 'Loading …'"
            " && !document.querySelector('#answer[aria-busy]')"
        )

    @property
    def position(self) -> str:
        return str(self.page.locator("#position").inner_text())

    @property
    def text(self) -> str:
        """What the source says."""
        return str(self.page.locator(".text").first.evaluate("node => node.textContent"))

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def type(self, text: str) -> None:
        self.page.keyboard.type(text)

    def decides(self, *keys: str) -> None:
        """Press keys of which the last one brings another record."""
        before = self.position
        self.press(*keys)
        self.leaves(before)

    def leaves(self, position: str) -> None:
        """Wait until another record is shown."""
        self.page.wait_for_function("was => document.querySelector('#position').textContent !== was", arg=position)
        self.ready()

    def labels(self, label: str, labels: list[str]) -> None:
        """Choose a label: by its digit, else by searching until it stands first; then go on."""
        if label in labels[:9]:
            return self.decides(str(labels.index(label) + 1))
        self.press("/")
        for letter in label.replace("_", " "):
            self.type(letter)
            if self.first == label:
                break
        assert self.first == label
        return self.decides("Enter")

    @property
    def first(self) -> str:
        """The label that Enter would choose."""
        first = self.page.locator(".option.first .label")
        return str(first.evaluate("node => node.textContent")) if first.count() else ""

    def field(self, name: str) -> Any:
        """The field of a name, with all that stands in it."""
        return self.page.locator(f"#form .field:has(> .head > .name:text-is('{name}'))").first

    def fills(self, name: str, text: str) -> None:
        """Put a text in the place of what the field holds, key by key."""
        self.field(name).locator("input:not([type=date], [type=radio]), textarea").first.focus()
        self.press("Control+a", "Backspace")
        self.type(text)

    @property
    def messages(self) -> dict[str, str]:
        """The messages at fields, by the name of the field."""
        return dict(
            self.page.locator("#form .field.wrong:has(> .message:not([hidden]))").evaluate_all(
                "all => all.map((one) => [one.querySelector('.name').textContent,"
                " one.querySelector(':scope > .message').textContent])"
            )
        )

    def selects(self, words: str) -> None:
        """Select a piece of the source, as fingers do."""
        self.page.locator(".text").first.evaluate(
            """(box, words) => {
              const from = box.textContent.indexOf(words);
              const range = document.createRange();
              const place = (offset) => {
                const walk = document.createTreeWalker(box, NodeFilter.SHOW_TEXT);
                for (let node = walk.nextNode(); node; node = walk.nextNode()) {
                  if (offset <= node.length) return [node, offset];
                  offset -= node.length;
                }
              };
              range.setStart(...place(from));
              range.setEnd(...place(from + words.length));
              getSelection().removeAllRanges();
              getSelection().addRange(range);
            }""",
            words,
        )

    # Pages of a document: the page knows where its words stand, and so does the server.

    def _words(self) -> list[dict[str, Any]]:
        return list(
            self.page.evaluate(
                "async () => (await (await fetch('/api/rows/1/pages/1/words',"
                " { headers: { 'X-Review-Token': sessionStorage.getItem('review-token') } })).json()).words"
            )
        )

    def _place(self, text: str) -> tuple[float, float]:
        """Where the middle of a word stands on the screen."""
        word = next(one for one in self._words() if one["text"] == text)
        sheet = self.page.locator(".sheet").first
        sheet.locator("img[src^='blob:']").wait_for()
        self.page.wait_for_function("() => document.querySelector('.sheet').page.words !== null")
        x0, y0, x1, y1 = word["box"]
        page = sheet.evaluate(
            "(sheet, y) => { const frame = document.querySelector('#source');"
            " const above = sheet.getBoundingClientRect().top - frame.getBoundingClientRect().top;"
            " frame.scrollTop += above + (y / sheet.page.height) * sheet.clientHeight - 40;"
            " const { x, y: top, width, height } = sheet.getBoundingClientRect();"
            " return [x, top, width / sheet.page.width, height / sheet.page.height]; }",
            y0,
        )
        return page[0] + (x0 + x1) / 2 * page[2], page[1] + (y0 + y1) / 2 * page[3]

    def touches_word(self, text: str) -> None:
        self.page.touchscreen.tap(*self._place(text))

    def drags_over(self, first: str, last: str) -> None:
        """Press the mouse on a word and let go on another."""
        start, end = self._place(first), self._place(last)
        self.page.mouse.move(*start)
        self.page.mouse.down()
        self.page.mouse.move(*end)
        self.page.mouse.up()

    @property
    def chosen_words(self) -> list[str]:
        """The words that are chosen on the page by keys."""
        return list(
            self.page.evaluate(
                "() => { const { words, from, to } = document.querySelector('.sheet').page;"
                " return words.slice(Math.min(from, to), Math.max(from, to) + 1).map((word) => word.text); }"
            )
        )

    # What is seen, and what a reader of the screen hears.

    @property
    def focused(self) -> str:
        """The name of the field that has the focus."""
        return str(
            self.page.evaluate("document.activeElement.closest('.field')?.querySelector('.name')?.textContent ?? ''")
        )

    def is_in_sight(self, place: Any) -> bool:
        """Whether an element stands inside the visible part of the source."""
        inside = (
            "(one) => { const { top, bottom } = one.getBoundingClientRect();"
            " const frame = document.querySelector('#source').getBoundingClientRect();"
            " return top >= frame.top && bottom <= frame.bottom; }"
        )
        return bool(place.evaluate(inside))

    def double_clicks(self, word: str) -> None:
        """Double-click a word of the source text."""
        self.selects(word)
        place = self.page.evaluate(
            "() => { const { x, y, width, height } = getSelection().getRangeAt(0).getBoundingClientRect();"
            " getSelection().removeAllRanges(); return [x + width / 2, y + height / 2]; }"
        )
        self.page.mouse.dblclick(*place)

    def contrast(self, selector: str) -> float:
        """The contrast of the first visible element of a selector with what stands behind it."""
        seen = self.page.locator(f"{selector}:visible").first
        return float(
            seen.evaluate(
                """node => {
                  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
                  const paint = (color) => { canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); };
                  const behind = [];
                  for (let at = node; at; at = at.parentElement) behind.unshift(getComputedStyle(at).backgroundColor);
                  const read = () => Array.from(canvas.getImageData(0, 0, 1, 1).data).slice(0, 3);
                  behind.forEach(paint);
                  const back = read();
                  paint(getComputedStyle(node).color);
                  const light = (rgb) => rgb.map((part) => part / 255)
                    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
                    .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
                  const [low, high] = [light(back), light(read())].sort((a, b) => a - b);
                  return (high + 0.05) / (low + 0.05);
                }"""
            )
        )

    @property
    def nameless(self) -> list[str]:
        """Visible controls that a screen reader has no name for."""
        return list(
            self.page.evaluate(
                """() => [...document.querySelectorAll('button, input, textarea, [role]')]
                  .filter((one) => one.checkVisibility() && !one.matches('[aria-hidden] *, [aria-hidden]'))
                  .filter((one) => !one.innerText?.trim() && !one.labels?.length && !one.textContent.trim())
                  .filter((one) => !one.getAttribute('aria-label') && !one.getAttribute('aria-labelledby'))
                  .map((one) => one.outerHTML)"""
            )
        )
