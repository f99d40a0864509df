"""How well values are found again in their sources, and how fast, offline.

    python benchmarks/grounding.py [--quick] [--peer PYTHON] [--write]

Planted values in many scripts, with the aligner of langextract on the same cases where its environment was made by
peers.py (or `--peer` names an interpreter that has it); values made up from planted ones by a letter, sign or digit;
the cells of PDF tables whose text wraps; real receipts (SROIE) where the shared data is beside this repository; and a
source of a million characters. Each figure stands beside its bar; the exit status is 1 where one was
missed.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
from inventions import CHANGES, INVENTED_SCRIPTS, inventions
from peers.environments import CACHE
from planted import DRESSES, SCRIPTS, Planted, plant, slips
from results import write_section
from wrapped_tables import ORDERS, wrapped_tables

from extract.documents.grounding import SourceText, ground
from extract.documents.parts import MediaPart
from extract.documents.text_layer import source_text

Place = tuple[int, int] | None

HERE = Path(__file__).parent
RECEIPTS = HERE.parents[1] / "shared" / "data" / "sroie2019" / "receipts.jsonl"
CEILINGS = {"company": 613, "date": 623, "address": 590, "total": 625}
PEER = """
import json, sys
from langextract.core.data import Extraction
from langextract.core.tokenizer import UnicodeTokenizer
from langextract.resolver import WordAligner
tokenizer, places = UnicodeTokenizer(), []
for text, value in json.load(sys.stdin):
    try:
        groups = [[Extraction(extraction_class="v", extraction_text=value)]]
        ((found,),) = WordAligner().align_extractions(
            groups, text, tokenizer_impl=tokenizer, accept_match_lesser=False
        )
        place = found.char_interval
        places.append(place and [place.start_pos, place.end_pos])
    except Exception:
        places.append(None)
json.dump(places, sys.stdout)
"""
report: list[str] = []
missed: list[str] = []


def say(line: str = "") -> None:
    print(line, flush=True)
    report.append(line)


def table(*titles: str) -> None:
    say()
    row(*titles)
    row(*("---" for _ in titles))


def row(*cells: object) -> None:
    say("| " + " | ".join(map(str, cells)) + " |")


def judged(what: str, figure: str, *, ok: bool) -> str:
    """Return a figure marked where it misses its bar."""
    if not ok:
        missed.append(f"{what}: {figure}")
    return figure if ok else f"**{figure}**"


def located(value: Any, text: str) -> Place:
    (span,) = ground({"value": value}, SourceText(text))
    return None if span.start is None or span.end is None else (span.start, span.end)


def located_by_peer(python: Path, cases: list[Planted]) -> list[Place]:
    """Return where langextract's aligner finds the values, with its tokenizer for all scripts.

    Without matches of a part of the value, which it takes by default: that way it does better here.
    """
    told = json.dumps([(case.text, case.value) for case in cases])
    done = subprocess.run([str(python), "-c", PEER], input=told, capture_output=True, text=True, check=True)
    return [None if place is None else (place[0], place[1]) for place in json.loads(done.stdout)]


def f1(cases: list[Planted], places: list[Place]) -> float:
    """Return the F1 of spans: a place counts where it is the planted span to the code point."""
    hits = sum(place is not None and place == case.span for case, place in zip(cases, places, strict=True))
    told = sum(place is not None for place in places)
    planted = sum(case.span is not None for case in cases)
    return 2 * hits / (told + planted) if told + planted else 1.0


def measure_planted(count: int, peer: Path | None) -> None:
    table("script", "cases", "span F1", "bar", "one letter wrong: found", "langextract: span F1", "one letter wrong")
    everything: list[Planted] = []
    ours: list[Place] = []
    theirs: list[Place] = []
    for script in SCRIPTS:
        cases = [case for dress in DRESSES for case in plant(script, dress, count=count)]
        wrong = list(slips(script, count=2 * count))
        places, slipped = ([located(case.value, case.text) for case in some] for some in (cases, wrong))
        others = located_by_peer(peer, cases + wrong) if peer else []
        score = f1(cases, places)
        share = hit_share(wrong, slipped)
        told = (
            [f"{f1(cases, others[: len(cases)]):.3f}", hit_share(wrong, others[len(cases) :])] if peer else ["–", "–"]
        )
        row(script, len(cases), judged(f"F1 {script}", f"{score:.3f}", ok=score >= 0.98), "0.98", share, *told)
        everything += cases
        ours += places
        theirs += others[: len(cases)]
    table("dress", "span F1", "langextract")
    for dress in (*DRESSES, "absent"):
        chosen = [index for index, case in enumerate(everything) if case.dress == dress]
        row(
            dress,
            *(
                summary([everything[i] for i in chosen], [by[i] for i in chosen]) if by else "–"
                for by in (ours, theirs)
            ),
        )
    if peer is None:
        say("\nlangextract is not installed: benchmarks/peers.py makes its environment.")


def hit_share(cases: list[Planted], places: list[Place]) -> str:
    hits = sum(place == case.span for case, place in zip(cases, places, strict=True))
    return f"{hits} of {len(cases)}"


def summary(cases: list[Planted], places: list[Place]) -> str:
    """Return the F1, or the share found nowhere where no value was planted."""
    if any(case.span for case in cases):
        return f"{f1(cases, places):.3f}"
    return f"{sum(place is None for place in places) / len(cases):.1%} missing"


def squeezed(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def measure_inventions(count: int) -> None:
    """Count the values that stand nowhere, each made from one that stands in its text, and are found all the same."""
    table("script", *CHANGES, "believed", "bar", "the values themselves: found")
    for script in INVENTED_SCRIPTS:
        cases = [case for change in CHANGES for case in inventions(script, change, count=count)]
        believed = Counter(case.change for case in cases if located(case.invented, case.text))
        share = believed.total() / len(cases)
        true = sum(located(case.value, case.text) is not None for case in cases)
        figure = judged(f"inventions {script}", f"{share:.1%}", ok=share <= 0.01)
        found = judged(f"values {script}", f"{true} of {len(cases)}", ok=true == len(cases))
        row(script, *(f"{believed[change]} of {count}" for change in CHANGES), figure, "≤ 1%", found)


def measure_wrapped(count: int) -> None:
    """Count the cells of several lines that are found again in PDFs of tables, drawn in several orders."""
    table("table", "cells that wrap", "found", "bar", "all cells", "found", "ms per page")
    for order in ORDERS:
        found, took = Counter[tuple[bool, bool]](), 0.0
        for drawn in wrapped_tables(order, count=count):
            source = source_text([MediaPart(kind="document", mime_type="application/pdf", data=drawn.data)])
            assert source is not None
            began = time.perf_counter()
            spans = {span.path: span.status for span in ground({"rows": drawn.rows}, source)}
            took += time.perf_counter() - began
            for number, cells in enumerate(drawn.rows):
                for name in cells:
                    hit = spans[f"$.rows[{number}].{name}"] in ("exact", "normalised")
                    found[(number, name) in drawn.wrapped, hit] += 1
        wrapped, hits = found[True, True] + found[True, False], found[True, True]
        figure = judged(f"wrapped cells, {order}", f"{hits / wrapped:.1%}", ok=hits >= 0.95 * wrapped)
        everything, all_hits = found.total(), hits + found[False, True]
        row(order, wrapped, figure, "≥ 95%", everything, f"{all_hits / everything:.1%}", f"{took / count * 1_000:.1f}")


def measure_receipts() -> None:
    if not RECEIPTS.exists():
        say("\nThe receipts (shared data) are not beside this repository.")
        return
    receipts = [json.loads(line) for line in RECEIPTS.read_text(encoding="utf-8").splitlines()]
    counts: Counter[tuple[str, str]] = Counter()
    began = time.perf_counter()
    grounded = [ground({k: v for k, v in r["gold"].items() if v}, SourceText(r["text"])) for r in receipts]
    took = (time.perf_counter() - began) / len(receipts) * 1_000
    for receipt, spans in zip(receipts, grounded, strict=True):
        for span in spans:
            field = span.path.removeprefix("$.")
            counts[field, span.status] += 1
            inside = squeezed(receipt["gold"][field]) in squeezed(receipt["text"])
            counts[field, "contained"] += inside and span.status in ("exact", "normalised")
    table("SROIE", "exact", "normalised", "fuzzy", "missing", "of the ceiling", "bar", "false in 1,000", "bar")
    for field, ceiling in CEILINGS.items():
        share = counts[field, "contained"] / ceiling
        false = false_places(receipts, field)
        bar = 20 if field in ("company", "address") else None
        row(
            field,
            *(counts[field, status] for status in ("exact", "normalised", "fuzzy", "missing")),
            judged(f"{field} located", f"{share:.1%}", ok=share >= 0.98),
            "98%",
            judged(f"{field} false", str(false), ok=bar is None or false < bar),
            f"< {bar}" if bar else "",
        )
    say(f"\nA receipt with four fields: {judged('a receipt', f'{took:.2f} ms', ok=took < 1)} (bar: 1 ms).")


def false_places(receipts: list[dict[str, Any]], field: str) -> int:
    """Return how many of 1,000 values of other receipts, which the text does not contain, are said to stand in it."""
    rng, false, tried = random.Random(2026), 0, 0
    while tried < 1_000:
        receipt, value = rng.choice(receipts), rng.choice(receipts)["gold"][field]
        if value and value != receipt["gold"][field] and squeezed(value) not in squeezed(receipt["text"]):
            tried += 1
            false += located(value, receipt["text"]) is not None
    return false


def measure_long_source() -> None:
    """Time 500 values in 300 pages: names as they are, in capitals, with a slip, or made up; numbers, and units."""
    rng = random.Random(2026)
    words = ["".join(rng.choices("abcdefghijklmnoprstuvwxyz", k=rng.randint(3, 9))) for _ in range(8_000)]
    drawn = rng.choices(words + SCRIPTS["Latin"], k=160_000)
    for place in range(0, len(drawn), 12):
        drawn[place] = rng.choice([f"{rng.randint(1, 9_999)}.{place % 100:02d}", f"{place % 28 + 1:02d}/05/2026", "7"])
    size = len(drawn) // 300
    pages = [" ".join(drawn[start : start + size]) for start in range(0, len(drawn), size)]
    items = [item(rng, words, drawn) for _ in range(125)]
    table("code points", "values", "seconds", "bar")
    for share in (4, 1):
        source = SourceText("\n".join(pages[: len(pages) // share]))
        began = time.perf_counter()
        ground({"items": items}, source)
        took = time.perf_counter() - began
        row(f"{len(source.text):,}", 500, judged("long source", f"{took:.2f}", ok=took < 5), "< 5")


def item(rng: random.Random, words: list[str], drawn: list[str]) -> dict[str, Any]:
    place = rng.randrange(len(drawn) - 4)
    name = " ".join(drawn[place : place + 4])
    forms = [name, name.upper(), f"{name[:5]}x{name[6:]}", " ".join(rng.choices(words, k=4))]
    return {"name": rng.choice(forms), "quantity": 7, "price": rng.randint(1, 9_999) + 0.12, "unit": rng.choice(drawn)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the planted cases")
    parser.add_argument("--peer", type=Path, help="an interpreter that has langextract")
    parser.add_argument("--write", action="store_true", help="put the figures into RESULTS.md")
    chosen = parser.parse_args()
    own = CACHE / "langextract" / "bin" / "python"
    measure_planted(4 if chosen.quick else 40, chosen.peer or (own if own.exists() else None))
    measure_inventions(20 if chosen.quick else 100)
    measure_wrapped(2 if chosen.quick else 10)
    measure_receipts()
    measure_long_source()
    if chosen.write:
        write_section("Grounding", "\n".join(report))
    for line in missed:
        print(f"missed: {line}", file=sys.stderr)
    sys.exit(bool(missed))


if __name__ == "__main__":
    main()
