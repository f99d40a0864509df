"""A person at the review page, in a browser: labels a minute at 77 labels, and time from a key to the next record.

    python benchmarks/review_page.py --rows 100000 --decisions 200

It serves a decision file of so many rows as `benchmarks/review.py` does, opens its page in Chromium, and labels by
keyboard alone: labels with a digit by their digit, the others by `/` and as many letters as it takes until the label
stands first. The page's own clock measures: from the last key of a decision until the next record stands on the page,
and until it is painted. `person` is what that makes for somebody who needs 1.5 s to read and decide and 0.2 s a key.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from playwright.sync_api import sync_playwright
from review import LABELS, write_decisions, write_output

CHROMIUM = "/usr/bin/chromium"
READING, KEY = 1.5, 0.2  # seconds
CLOCK = """
window.measured = [];
let pressed = 0;
addEventListener('keydown', (event) => { pressed = event.timeStamp; }, true);
addEventListener('DOMContentLoaded', () => {
  const position = document.querySelector('#position');
  let before = position.textContent;
  new MutationObserver(() => {
    if (position.textContent === before) return;
    before = position.textContent;
    const [key, shown] = [pressed, performance.now()];
    requestAnimationFrame(() => window.measured.push([shown - key, performance.now() - key]));
  }).observe(position, { childList: true, characterData: true, subtree: true });
});
"""


CATEGORIES = Path(__file__).resolve().parents[2] / "shared" / "data" / "banking77" / "categories.json"


def main() -> None:
    if CATEGORIES.exists():
        LABELS[:] = json.loads(CATEGORIES.read_text())  # names that people search for, where they are at hand
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument("--rows", type=int, default=100_000)
    arguments.add_argument("--decisions", type=int, default=200)
    arguments.add_argument("--before", type=int, default=0, help="Rows that are judged already.")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measured(Path(folder), given.rows, given.decisions, given.before)))


def measured(folder: Path, rows: int, decisions: int, before: int) -> dict[str, Any]:
    """Return the figures of one size."""
    write_output(folder / "out.parquet", rows)
    write_decisions(folder / "review.db", folder / "out.parquet", rows, before)
    command = [sys.executable, "-m", "extract", "review", str(folder / "review.db"), "--no-browser", "--as", "ann"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        link = next(line.strip() for line in server.stdout if "#token=" in line)
        return {"rows": rows, "decisions": decisions, "before": before} | labelled(link, decisions)
    finally:
        server.terminate()
        server.wait()


def labelled(link: str, decisions: int) -> dict[str, float]:
    """Label so many rows by keyboard, and return how fast that went."""
    chosen = random.Random(0).choices(LABELS, k=decisions)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(CLOCK)
        page.goto(link)
        page.locator(".option").first.wait_for()
        page.wait_for_function("() => window.measured.length === 1")
        started = time.perf_counter()
        keys = 0
        for number, label in enumerate(chosen):
            keys += choose(page, label)
            page.wait_for_function("count => window.measured.length >= count", arg=number + 2)
        seconds = time.perf_counter() - started
        shown, painted = zip(*page.evaluate("window.measured.slice(1)"), strict=True)
        browser.close()
    return {
        "labels_a_minute": round(60 * decisions / seconds, 1),
        "keys_a_label": round(keys / decisions, 2),
        "person_labels_a_minute": round(60 / (READING + KEY * keys / decisions + median(painted) / 1000), 1),
        "key_to_next_ms_median": round(median(shown), 1),
        "key_to_next_ms_p95": round(quantiles(shown, n=20)[-1], 1),
        "key_to_painted_ms_median": round(median(painted), 1),
    }


def choose(page: Any, label: str) -> int:
    """Press the keys for a label, as somebody does who looks at what stands first; return how many."""
    place = LABELS.index(label)
    if place < 9:
        page.keyboard.press(str(place + 1))
        return 1
    page.keyboard.press("/")
    first = page.locator(".option.first .label")
    letters = 0
    while letters < len(label) and (not letters or text_of(first) != label):
        page.keyboard.type(label[letters])
        letters += 1
    page.keyboard.press("Enter")
    return letters + 2


def text_of(first: Any) -> str:
    return str(first.evaluate("node => node.textContent")) if first.count() else ""


if __name__ == "__main__":
    main()
