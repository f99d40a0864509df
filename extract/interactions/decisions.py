"""The Decisions API: typed questions about one input, answered with calibrated probabilities.

A cheap second opinion on booleans and enums, with the probability that interactions do not give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic_core import from_json

from extract.documents.parts import Part, Turn
from extract.errors import Blocked, ConfigError, Unfinished, Unreachable
from extract.interactions.dialects import DIALECTS, from_raw
from extract.interactions.http.calls import Call, Operation, Order, json_body
from extract.interactions.http.retrying import Retry, send
from extract.interactions.usage import Usage
from extract.json_types import JsonObject

__all__ = [
    "DECISION_MODEL",
    "BooleanAnswer",
    "BooleanQuestion",
    "ChoiceAnswer",
    "ChoiceQuestion",
    "Decisions",
    "Question",
    "ScoreAnswer",
    "ScoreQuestion",
    "UnknownAnswer",
    "decide",
]

DECISION_MODEL = "gemini-decision-1"
_MAX_QUESTIONS, _MIN_OPTIONS, _MAX_OPTIONS = 1000, 2, 255


@dataclass(frozen=True, slots=True)
class BooleanQuestion:
    """A question whose answer is yes or no; `true` and `false` say when. (The wire calls it `noul`.)

    >>> questions = {"spam": BooleanQuestion("Is it spam?", true="It sells something")}
    >>> offline_client().decide("Buy now!", questions)["spam"].value in (True, False)
    True
    """

    instructions: str
    true: str | None = None
    false: str | None = None

    def __post_init__(self) -> None:
        _check_instructions(self.instructions)

    def as_wire(self) -> JsonObject:
        named = {"true_description": self.true, "false_description": self.false}
        criteria = {name: text for name, text in named.items() if text is not None}
        return {"type": "noul", "instructions": self.instructions} | ({"criteria": criteria} if criteria else {})


@dataclass(frozen=True, slots=True)
class ChoiceQuestion:
    """A question with one answer out of 2 to 255 options: ids, or ids with descriptions.

    >>> question = ChoiceQuestion("What is it about?", {"bug": "Something is broken", "praise": ""})
    >>> offline_client().decide("It crashes.", {"topic": question})["topic"].value in question.options
    True
    """

    instructions: str
    options: Mapping[str, str] | Sequence[str]

    def __post_init__(self) -> None:
        _check_instructions(self.instructions)
        _check_number(self.options, "options")
        for name in self.options:
            if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
                raise ConfigError(
                    f"options: {name!r} is no id: ids are text without control characters and outer blanks"
                )
        if len(set(self.options)) != len(self.options):
            raise ConfigError("options: each id may occur once")

    def as_wire(self) -> JsonObject:
        options = self.options if isinstance(self.options, Mapping) else dict.fromkeys(self.options, "")
        return {"type": "choice", "instructions": self.instructions, "criteria": dict(options)}


@dataclass(frozen=True, slots=True)
class ScoreQuestion:
    """A question whose answer is a number: `levels` describes 0, 1, 2 and so on, 2 to 255 of them.

    >>> question = ScoreQuestion("How urgent is it?", ["Not at all", "This week", "Today"])
    >>> 0 <= offline_client().decide("It crashes.", {"urgency": question})["urgency"].value <= 2
    True
    """

    instructions: str
    levels: Sequence[str]

    def __post_init__(self) -> None:
        _check_instructions(self.instructions)
        _check_number(self.levels, "levels")
        if not all(isinstance(text, str) and text for text in self.levels):
            raise ConfigError("levels: each needs a description")

    def as_wire(self) -> JsonObject:
        return {"type": "score", "instructions": self.instructions, "criteria": list(self.levels)}


Question: TypeAlias = BooleanQuestion | ChoiceQuestion | ScoreQuestion


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanAnswer:
    """The answer to a BooleanQuestion: `probability` is that of true, from 0.01 to 0.99; `confidence` that of `value`.

    >>> BooleanAnswer(probability=0.8, confidence=0.8).value
    True
    """

    probability: float
    confidence: float

    @property
    def value(self) -> bool:
        return self.probability >= 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceAnswer:
    """The answer to a ChoiceQuestion: `value` is the most probable option, `confidence` its probability.

    >>> ChoiceAnswer(value="bug", confidence=0.9, probabilities={"bug": 0.9, "praise": 0.1}).value
    'bug'
    """

    value: str
    confidence: float
    probabilities: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreAnswer:
    """The answer to a ScoreQuestion: `value` is the expected level, `confidence` the highest of the `probabilities`.

    >>> ScoreAnswer(value=1.3, confidence=0.7, probabilities={1: 0.7, 2: 0.3}).probabilities[2]
    0.3
    """

    value: float
    confidence: float
    probabilities: Mapping[int, float]


@dataclass(frozen=True, slots=True)
class UnknownAnswer:
    """An answer of an unknown kind or form, as it came."""

    raw: Any


Answer: TypeAlias = BooleanAnswer | ChoiceAnswer | ScoreAnswer | UnknownAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The answers to all questions, by the questions' names. `usage` is None where the service sent none.

    >>> decisions = offline_client().decide("It crashes.", {"bug": BooleanQuestion("Is it a bug?")})
    >>> 0 < decisions["bug"].confidence < 1
    True
    """

    answers: Mapping[str, Answer]
    usage: Usage | None = None
    raw: JsonObject = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> Answer:
        return self.answers[name]


def decide(
    given: str | Part | Sequence[str | Part], questions: Mapping[str, Question], model: str, retry: Retry
) -> Operation[Order, Decisions]:
    """Return the answers to all questions about one input. Raises Blocked for an input that a filter refused."""
    body = encode(given, questions, model)
    reply = yield from send(Call("POST", "/decisions", body), retry)
    return decode(reply.body, questions)


def encode(given: str | Part | Sequence[str | Part], questions: Mapping[str, Question], model: str) -> bytes:
    """Return the body of the call. ConfigError for what the service would refuse."""
    if not 1 <= len(questions) <= _MAX_QUESTIONS:
        raise ConfigError(f"ask 1 to {_MAX_QUESTIONS:,} questions at once, not {len(questions):,}")
    if not given:
        raise ConfigError("decisions need an input: text, a part, or several")
    content: Any = given
    if not isinstance(given, str):
        turn = Turn.user(*given) if isinstance(given, Sequence) else Turn.user(given)
        content = DIALECTS["steps"].encode_input([turn])[0]["content"]
    wire = {name: question.as_wire() for name, question in questions.items()}
    return json_body({"model": model, "input": content, "questions": wire})


def decode(body: bytes, questions: Mapping[str, Question]) -> Decisions:
    """Read a response. Raises Blocked, Unfinished where an answer is missing, Unreachable where it cannot be read."""
    try:
        raw = from_json(body)
    except ValueError as error:
        raise Unreachable(f"the body of the decisions is not whole JSON ({error})") from None
    if not isinstance(raw, dict):
        raise Unreachable(f"the body of the decisions is a JSON {type(raw).__name__}, not an object")
    feedback = raw.get("prompt_feedback")
    if isinstance(feedback, dict) and feedback.get("block_reason"):
        reason = str(feedback["block_reason"])
        message = f": {feedback['block_reason_message']}" if feedback.get("block_reason_message") else ""
        raise Blocked(f"the service blocked this input ({reason}{message})"[:400], reason=reason)
    received = raw.get("answers")
    answers = {name: _answer(one) for name, one in received.items()} if isinstance(received, dict) else {}
    if missing := [name for name in questions if name not in answers]:
        raise Unfinished(f"the service left out the answers to {', '.join(missing[:5])}", status="completed")
    return Decisions(answers=answers, usage=_usage(raw.get("usage")), raw=raw)


def _usage(value: Any) -> Usage | None:
    # Answers are numbers, not text: a service that counts no output leaves nothing out.
    return from_raw({"usage": {"total_output_tokens": 0} | value}).usage if isinstance(value, dict) else None


def _answer(raw: Any) -> Answer:
    """Read one answer; one that is not in the documented form is returned as it came."""
    try:
        match raw["type"]:
            case "noul":
                return BooleanAnswer(probability=_share(raw["noul"]), confidence=_share(raw["confidence"]))
            case "choice":
                return ChoiceAnswer(
                    value=str(raw["choice"]),
                    confidence=_share(raw["confidence"]),
                    probabilities={name: _share(share) for name, share in raw["probabilities"].items()},
                )
            case "score":
                return ScoreAnswer(
                    value=float(raw["score"]),
                    confidence=_share(raw["confidence"]),
                    probabilities={int(level): _share(share) for level, share in raw["probabilities"].items()},
                )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        pass
    return UnknownAnswer(raw)


def _share(value: Any) -> float:
    share = float(value)
    if not 0 <= share <= 1:
        raise ValueError(f"{share} is no probability")
    return share


def _check_instructions(text: str) -> None:
    if not isinstance(text, str) or not text.strip():
        raise ConfigError("a question needs instructions: its text")


def _check_number(given: Any, name: str) -> None:
    if isinstance(given, str) or not isinstance(given, Mapping | Sequence):
        raise ConfigError(f"{name} takes a list, not a {type(given).__name__}")
    if not _MIN_OPTIONS <= len(given) <= _MAX_OPTIONS:
        raise ConfigError(f"{name}: {_MIN_OPTIONS} to {_MAX_OPTIONS} are possible, not {len(given)}")
