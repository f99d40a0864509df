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
