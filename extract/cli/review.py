"""`extract review`: a page on this machine, on which a person says of each row what is right."""

from __future__ import annotations

import json
import os
import signal
import sys
import webbrowser
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from extract.cli.label_list import read_labels
from extract.cli.pipelines import load_pipeline
from extract.cli.terminal import plain
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.review.decision_file import DecisionFile
from extract.review.progress import Progress
from extract.review.start import DECISIONS, Choice, default_path, make_file
from extract.schema import OutputSchema, compile_schema

__all__ = ["ReviewOptions", "review_command"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewOptions:
    """The options of `extract review`, by their names on the command line."""

    choice: Choice
    decisions: Path | None
    pipeline: str | None
    labels: str | None
    source: str | None
    person: str | None
    roots: Sequence[Path]
    hosts: Sequence[str]
    port: int
    browser: bool


def review_command(data: str, options: ReviewOptions) -> None:
    """Serve the page until interrupted; its link is the first line on stdout."""
    try:
        from extract.review.serving import open_file
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is needed: pip install 'extract-interactions[review]'") from None
    extractor = None if options.pipeline is None else load_pipeline(options.pipeline)
    path = _decision_file(data, options, extractor)
    # The server raises the signal again once it has shut down; Python must still exit normally, and clean up.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    with ExitStack() as stack:
        page = stack.enter_context(
            open_file(
                path,
                extractor=extractor,
                source=options.source or (None if _is_decisions(data) else data),
                person=options.person,
                root=options.roots,
                port=options.port,
                allowed=options.hosts,
            )
        )
        sys.stdout.write(f"{page.link}\n")
        sys.stdout.flush()
        _say(f"{path}: decisions of {page.person}; Ctrl-C ends the page, and the same command goes on")
        if options.browser:
            webbrowser.open(_redirect(page.link, Path(stack.enter_context(TemporaryDirectory()))).as_uri())
        page.serve()
        _say_end(page.progress, path)


def _decision_file(data: str, options: ReviewOptions, extractor: Extractor | None) -> Path:
    """Return the decision file to go on with; it is made where there is none yet."""
    if _is_decisions(data):
        return Path(data)
    choice = options.choice
    path = options.decisions or default_path(data, choice.kind, blind=choice.blind)
    schema = _schema(extractor, options.labels)
    if not path.exists():
        with make_file(path, data, choice, schema=schema, pipeline=options.pipeline) as made:
            _say(_made(made, data, choice))
        return path
    with DecisionFile.open(path) as file:
        _check_same(file, data, choice)
    return path


def _is_decisions(data: str) -> bool:
    return data.lower().endswith(DECISIONS)


def _schema(extractor: Extractor | None, labels: str | None) -> OutputSchema | None:
    if extractor is not None and labels is not None:
        raise ConfigError("--pipeline and --labels both say what an answer is: leave one out")
    if extractor is not None:
        return compile_schema(extractor.schema, extra=extractor.extra)
    return None if labels is None else compile_schema(read_labels(labels))


def _made(file: DecisionFile, data: str, choice: Choice) -> str:
    setup = file.setup
    if choice.queue:
        return f"{len(file):,} rows of {data} that something speaks against: deciding them proves nothing"
    drawn = f"{len(file):,} of {setup.population:,} rows of {data} drawn with seed {setup.seed}"
    return f"{drawn}, {'judged blind' if setup.blind else 'each beside its answer'}"


def _check_same(file: DecisionFile, data: str, choice: Choice) -> None:
    """Raise ConfigError where a decision file is not about what was asked for: nothing of the kind is mixed."""
    setup, other = file.setup, f"name another file with --decisions, or go on with: extract review {file.path}"
    if setup.source is not None and Path(setup.source).name != Path(data).name:
        raise ConfigError(f"{file.path} is about {setup.source}, not about {data}: {other}")
    if choice.fields and set(choice.fields) != set(setup.fields):
        raise ConfigError(f"{file.path} is about the fields {', '.join(setup.fields)}: {other}")
    if choice.blind and not setup.blind:
        raise ConfigError(f"{file.path} is judged in sight of the answers, not blind: {other}")
    if file.task(1).kind != choice.kind:
        raise ConfigError(f"{file.path} holds a {file.task(1).kind}, not a {choice.kind}: {other}")
    if choice.sample is not None and choice.sample != len(file) and choice.sample < (setup.population or 0):
        raise ConfigError(f"{file.path} holds {len(file):,} rows, fixed when they were drawn: {other}")


def _redirect(link: str, folder: Path) -> Path:
    """Write a page that leads to the link, for this user only: the command line of a browser is for all to see."""
    path = folder / "review.html"
    address = json.dumps(link).replace("<", "\\u003c")
    with open(path, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(f"<!doctype html><meta charset=utf-8><script>location.replace({address})</script>")
    return path


def _say_end(progress: Progress, path: Path) -> None:
    _say(f"{progress.decided:,} of {progress.tasks:,} rows decided, {progress.skipped:,} skipped")
    if progress.decided:
        _say(f"gold: extract gold write {path} -o gold.csv")


def _say(line: str) -> None:
    sys.stderr.write(plain(line) + "\n")
