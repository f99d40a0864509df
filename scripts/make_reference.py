"""Writes docs/reference.md from the docstrings of all public names: python scripts/make_reference.py [--check]

With --check nothing is written; exit status 1 where the page is not what would be written.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import extract

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference.md"
CHAPTERS = {
    "Runs": """run run_async extract_one Accept Extractor Example Pack Windows Union Limits Retry Budget ResponseCache
        Run Totals Outage Progress Outcome Attempt Span Usage""",
    "Schemas": "compile_schema OutputSchema Loss parse",
    "Evaluation": "evaluate Evaluation compare Comparison accept Acceptance clear_of Clearance check_labels LabelCheck",
    "Review": "draw_gold open_review write_gold apply_decisions",
    "The client": """Client AsyncClient Endpoint Request Generation Turn TextPart MediaPart Clip Pages TextFormat
        ImageFormat AudioFormat SafetySetting Interaction Citation Conversation RemoteFile""",
    "Tools": """Function FunctionResult function_tool ToolRun GoogleSearch GoogleMaps UrlContext CodeExecution
        FileSearch ComputerUse McpServer ToolSearch Evidence evidence_of""",
    "Decisions": """Decisions BooleanQuestion BooleanAnswer ChoiceQuestion ChoiceAnswer ScoreQuestion ScoreAnswer""",
    "Webhooks": "verify_webhook WebhookEvent",
    "Offline": "offline_client Emulator",
}
EXAMPLE = re.compile(r"^ *>>>.*(?:\n.+)*", re.MULTILINE)
OPENING = """# Reference

Every public name, from its docstring. Written by `scripts/make_reference.py`; all names are imported from `extract`.
"""


def page() -> str:
    listed = {name: chapter for chapter, names in CHAPTERS.items() for name in names.split() if hasattr(extract, name)}
    errors = [name for name in extract.__all__ if is_error(getattr(extract, name))]
    others = [name for name in extract.__all__ if name not in listed and name not in errors]
    chapters = {chapter: [name for name in listed if listed[name] == chapter] for chapter in CHAPTERS}
    parts = [OPENING]
    for chapter, names in (chapters | {"More": others, "Errors": errors}).items():
        if names:
            parts += [f"## {chapter}\n", *(entry(name, getattr(extract, name)) for name in names)]
    return "\n".join(parts)


def is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Exception)


def entry(name: str, value: Any) -> str:
    lines = [f"### {name}\n"]
    if isinstance(value, Mapping):
        return "\n".join([*lines, *(f"- `{key}`: {meaning}" for key, meaning in value.items())]) + "\n"
    if not is_error(value):
        lines.append(f"```text\n{name}{signature(value)}\n```\n")
    lines.append(f"{text_of(value)}\n")
    for member, described in members(value) if inspect.isclass(value) and not is_error(value) else ():
        lines.append(f"- `{member}`: {described}")
    return "\n".join(lines).rstrip() + "\n"


def signature(value: Any) -> str:
    try:
        own = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    shown = [
        parameter.replace(annotation=shortened(parameter.annotation), default=shown_default(parameter.default))
        for parameter in own.parameters.values()
        if not parameter.name.startswith("_")
    ]
    text = str(own.replace(parameters=shown, return_annotation=inspect.Signature.empty))
    return text if len(text) < 100 else wrapped(shown)


class Verbatim:
    """Stands in a signature for the text of an annotation or a default."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def shortened(annotation: Any) -> Any:
    if annotation is inspect.Parameter.empty:
        return annotation
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return Verbatim(text.replace("os.PathLike[str]", "PathLike").replace("httpx.", ""))


def shown_default(default: Any) -> Any:
    if default is inspect.Parameter.empty or type(default) in (int, float, str, bool, type(None), tuple):
        return default
    return Verbatim("...")


def wrapped(parameters: list[inspect.Parameter]) -> str:
    lines: list[str] = []
    kind = None
    for parameter in parameters:
        if parameter.kind is parameter.KEYWORD_ONLY and kind is not parameter.kind:
            lines.append("    *,")
        kind = parameter.kind
        lines.append(f"    {parameter},")
    return "(\n" + "\n".join(lines) + "\n)"


def text_of(value: Any) -> str:
    """Return a docstring with its examples as blocks of code."""
    text = inspect.cleandoc(value.__doc__ or "")
    return EXAMPLE.sub(lambda example: f"```pycon\n{textwrap.dedent(example[0])}\n```", text)


def members(value: type) -> Iterator[tuple[str, str]]:
    """Yield the public methods and properties that say what they do, with the first paragraph of that."""
    fields = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    for name, member in inspect.getmembers(value):
        text = inspect.getdoc(member)
        if name.startswith("_") or name in fields or not text or not is_own(value, name):
            continue
        if callable(member) or isinstance(member, property):
            called = name + ("()" if callable(member) else "")
            yield called, " ".join(inspect.cleandoc(text).split("\n\n")[0].split())


def is_own(value: type, name: str) -> bool:
    return any(name in vars(base) for base in value.__mro__ if base.__module__.startswith("extract"))


def main() -> int:
    made = page()
    if "--check" in sys.argv:
        return int(not PAGE.exists() or PAGE.read_text("utf-8") != made)
    PAGE.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
