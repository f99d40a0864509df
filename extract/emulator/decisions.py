"""The Decisions API: typed questions, answered by the rule reader.

The probabilities are made up: the reader's choice gets `SURE`, the other outcomes share the rest. Their form is the
service's, their calibration is not.
"""

from __future__ import annotations

import json
from typing import Any

from extract.emulator.answers import Reader
from extract.emulator.checks import Check, content, either, parts, record, string, tagged
from extract.emulator.conversation import MEDIA_TOKENS, count_tokens
from extract.emulator.messages import refusal
from extract.json_types import JsonObject

__all__ = ["check_decision", "decide", "decision_tokens"]

SURE = 0.8
MAX_QUESTIONS, MIN_OPTIONS, MAX_OPTIONS = 1000, 2, 255


def instructions(value: Any, path: str) -> None:
    """Check text, one text content, or several."""
    for one in value if isinstance(value, list) and value else [value]:
        if not isinstance(one, str) and not (isinstance(one, dict) and isinstance(one.get("text"), str)):
            raise refusal(f"Invalid value at {path!r}: must be text or text contents.")


def options(value: Any, path: str) -> None:
    """Check the options of a choice: ids without control characters or outer blanks, each with a description."""
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise refusal(f"Invalid value at {path!r}: must map option ids to descriptions.")
    check_number(value, path)
    for name in value:
        if not name or name != name.strip() or not name.isprintable():
            raise refusal(f"Invalid value at {path!r}: {name!r} is no option id.")


def levels(value: Any, path: str) -> None:
    """Check the levels of a score."""
    if not isinstance(value, list) or not all(isinstance(text, str) and text for text in value):
        raise refusal(f"Invalid value at {path!r}: must list the levels.")
    check_number(value, path)


def check_number(value: Any, path: str) -> None:
    if not MIN_OPTIONS <= len(value) <= MAX_OPTIONS:
        raise refusal(f"Invalid value at {path!r}: {MIN_OPTIONS} to {MAX_OPTIONS} are possible, not {len(value)}.")


QUESTION = tagged(
    {
        "noul": record(
            {
                "type": string,
                "instructions": instructions,
                "criteria": record({"true_description": string, "false_description": string}),
            },
            "instructions",
        ),
        "choice": record(
            {"type": string, "instructions": instructions, "criteria": options}, "instructions", "criteria"
        ),
        "score": record({"type": string, "instructions": instructions, "criteria": levels}, "instructions", "criteria"),
    }
)


def questions(value: Any, path: str) -> None:
    """Check the questions of a request."""
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_QUESTIONS:
        raise refusal(f"Invalid value at {path!r}: must hold 1 to {MAX_QUESTIONS} questions.")
    for name, question in value.items():
        QUESTION(question, f"{path}.{name}")


given: Check = either(string, either(parts, content, when=list), when=str)
REQUEST = record({"model": string, "input": given, "questions": questions}, "model", "input", "questions")


def check_decision(body: Any) -> JsonObject:
    """Return `body` where the service would take it; raise Refusal where not."""
    REQUEST(body, "")
    checked: JsonObject = body
    return checked


def decision_tokens(body: JsonObject) -> int:
    """Return the tokens of the shared input and of all questions."""
    media = [one for one in contents(body["input"]) if isinstance(one, dict) and one.get("type") != "text"]
    return (
        count_tokens(text_of(body["input"])) + MEDIA_TOKENS * len(media) + count_tokens(json.dumps(body["questions"]))
    )


def decide(body: JsonObject, reader: Reader) -> JsonObject:
    """Return the response: an answer to each question, and the usage."""
    text = text_of(body["input"])
    answers = {name: answer(question, text, reader) for name, question in body["questions"].items()}
    tokens = decision_tokens(body)
    return {"answers": answers, "usage": {"total_input_tokens": tokens, "total_tokens": tokens}}


def answer(question: JsonObject, text: str, reader: Reader) -> JsonObject:
    """Return the answer to one question about `text`."""
    instruction, criteria = text_of(question["instructions"]), question.get("criteria", {})
    if question["type"] == "noul":
        described = "; ".join(filter(None, (instruction, criteria.get("true_description"))))
        noul = SURE if read(reader, {"type": "boolean", "description": described}, text) is True else 1 - SURE
        return {"type": "noul", "noul": noul, "confidence": max(noul, 1 - noul)}
    if question["type"] == "choice":
        probabilities = choose(reader, instruction, list(criteria), [*criteria.values()], text)
        best = max(probabilities, key=lambda name: probabilities[name])
        return {
            "type": "choice",
            "choice": best,
            "probabilities": probabilities,
            "confidence": probabilities[best],
        }
    numbers = [str(index) for index in range(len(criteria))]
    probabilities = dict(
        zip(numbers, choose(reader, instruction, criteria, [""] * len(criteria), text).values(), strict=True)
    )
    return {
        "type": "score",
        "score": sum(int(level) * share for level, share in probabilities.items()),
        "probabilities": probabilities,
        "legend": dict(zip(numbers, criteria, strict=True)),
        "confidence": max(probabilities.values()),
    }


def choose(reader: Reader, instruction: str, names: list[str], descriptions: list[str], text: str) -> dict[str, float]:
    """Return a probability for each of `names`, by its index where names repeat."""
    options = (f"{name}: {described}" for name, described in zip(names, descriptions, strict=True) if described)
    described = "; ".join([instruction, *options])
    choice = read(reader, {"type": "string", "enum": list(dict.fromkeys(names)), "description": described}, text)
    best = names.index(choice) if choice in names else 0
    rest = (1 - SURE) / (len(names) - 1)
    keys = names if len(set(names)) == len(names) else [str(index) for index in range(len(names))]
    return {key: SURE if index == best else rest for index, key in enumerate(keys)}


def read(reader: Reader, schema: JsonObject, text: str) -> Any:
    """Return the reader's answer for one field."""
    whole = {"type": "object", "properties": {"answer": schema}, "required": ["answer"]}
    result = json.loads(reader.read(whole, text))
    return result.get("answer") if isinstance(result, dict) else None


def text_of(given: Any) -> str:
    """Return the text in an input or in instructions."""
    texts = [one if isinstance(one, str) else one.get("text", "") for one in contents(given)]
    return "\n".join(text for text in texts if isinstance(text, str) and text)


def contents(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
