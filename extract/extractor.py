"""One record: render, look up, ask, validate, repair. It ends in an Outcome and never raises for a row."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from decimal import Decimal
from hashlib import sha256
from typing import Any, Protocol

from pydantic_core import to_json

from extract.cache import ResponseCache
from extract.errors import (
    AnswerTimeout,
    Blocked,
    BudgetExceeded,
    ConfigError,
    Denied,
    ExtractError,
    Incomplete,
    InvalidAnswer,
    OutputError,
    SchemaError,
    SchemaTooComplex,
    Unfinished,
    Unreachable,
)
from extract.gate import Gate
from extract.interactions.client import AsyncClient, Endpoint, insist
from extract.interactions.dialects import Envelope, decode
from extract.interactions.failures import judge
from extract.interactions.protocols import create
from extract.interactions.wire import Call, Reply, drive_async
from extract.limits import Limits
from extract.media import load_part
from extract.prompts import Example, Template, check_columns, repair_text
from extract.schema import OutputSchema, compile_schema
from extract.types import (
    Generation,
    Interaction,
    Outcome,
    Part,
    Request,
    ServiceTier,
    TextPart,
    Turn,
    Usage,
)
from extract.usage import Price, find_price

__all__ = ["Asker", "Extractor", "Plan"]

_KEY_TAG = "x1"
# What makes every further request useless: the run ends, and the record it happened to is taken up by a rerun.
STOPS = (Denied, SchemaTooComplex, BudgetExceeded, ConfigError, SchemaError, OutputError)


@dataclass(frozen=True, slots=True)
class Extractor:
    """What to ask of each record, as one frozen value: no key, no socket, no clock.

    `schema` is a Pydantic model, TypedDict, dataclass, any type Pydantic takes, a list of labels, or a JSON Schema.
    `prompt` holds `{column}` places. `media` names columns with a path, an URI or bytes; their parts go before the
    prompt. `repairs` is how often a wrong answer is shown its errors and asked again.
    """

    schema: Any
    prompt: str
    _: KW_ONLY
    model: str = "gemini-3.5-flash-lite"
    system: str | None = None
    media: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    generation: Generation = Generation()
    repairs: int = 2

    def __post_init__(self) -> None:
        media: Any = self.media
        if isinstance(media, str):
            raise ConfigError(f"media takes a tuple of column names: media=({media!r},)")
        object.__setattr__(self, "media", tuple(self.media))
        object.__setattr__(self, "examples", tuple(self.examples))
        if not self.model or not isinstance(self.model, str):
            raise ConfigError("an extractor needs the name of a model")
        if self.repairs < 0:
            raise ConfigError(f"repairs must be 0 or more, not {self.repairs}")
        if not self.prompt.strip() and not self.media:
            raise ConfigError("the prompt is empty and there are no media columns: nothing would be sent")

    def compile(
        self, endpoint: Endpoint, *, service: str | None = None, service_tier: ServiceTier | None = None
    ) -> Plan:
        """Do once what is the same for every record. Raises SchemaError or ConfigError, and sends nothing."""
        template = Template.parse(self.prompt)
        schema = compile_schema(self.schema)
        examples = tuple(_example_turns(self.examples, template, schema))
        request = Request(
            model=self.model,
            turns=examples,
            system=self.system,
            schema=schema.wire,
            generation=self.generation,
            service_tier=service_tier,
        )
        constant = {
            "service": service or endpoint.service,
            "system": self.system,
            "examples": [_turn_identity(turn) for turn in examples],
            "schema": schema.full,
            "model": self.model,
            "generation": self.generation.as_wire(),
        }
        return Plan(
            extractor=self,
            schema=schema,
            template=template,
            envelope=endpoint.wire.envelope(request),
            key=sha256(_canonical([_KEY_TAG, constant])).digest(),
            service_tier=service_tier,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """An extractor made ready for one service: compiled schema and prompt, the request's constant bytes and key."""

    extractor: Extractor
    schema: OutputSchema
    template: Template
    envelope: Envelope
    key: bytes
    service_tier: ServiceTier | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The input columns that are read."""
        return tuple(dict.fromkeys((*self.template.columns, *self.extractor.media)))

    def turns(self, record: Mapping[str, Any]) -> tuple[Turn, ...]:
        """Return what the user says for one record. Reads media files; raises BadRecord."""
        loaded = (load_part(record[column], column) for column in self.extractor.media)
        media: list[Part] = [part for part in loaded if part is not None]
        text = self.template.render(record)
        return (Turn("user", (*media, TextPart(text)) if text or not media else tuple(media)),)

    def answer_key(self, turns: Sequence[Turn], retry_round: int) -> bytes:
        """Return the content key of one request: equal requests have equal keys, on every machine and in every run."""
        said = _canonical([retry_round, [_turn_identity(turn) for turn in turns]])
        return sha256(self.key + said).digest()


def _canonical(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def _turn_identity(turn: Turn) -> list[Any]:
    return [turn.role, [_part_identity(part) for part in turn.parts]]


def _part_identity(part: Part) -> Any:
    if isinstance(part, TextPart):
        return part.text
    content = sha256(part.data).hexdigest() if part.data is not None else part.uri
    return [part.kind, part.mime_type, content, part.resolution]


def _example_turns(examples: Sequence[Example], template: Template, schema: OutputSchema) -> list[Turn]:
    turns: list[Turn] = []
    for number, example in enumerate(examples, start=1):
        check_columns(template.columns, example.record.keys())
        try:
            answer = schema.to_json(schema.validate(_example_json(example.answer, schema)))
        except InvalidAnswer as error:
            raise ConfigError(f"example {number} does not fit the schema: {error}") from None
        turns += [Turn.user(template.render(example.record)), Turn.model(answer)]
    return turns


def _example_json(answer: Any, schema: OutputSchema) -> str:
    plain = {"value": answer} if schema.wrapped else answer
    try:
        return to_json(plain, by_alias=True).decode()
    except ValueError as error:
        raise ConfigError(f"an example's answer has no JSON form: {error}") from None


class Progress(Protocol):
    """Who wants to hear of each request as it is sent and answered."""

    def sent(self) -> None: ...
    def answered(self, usage: Usage | None, cost: Decimal | None) -> None: ...


@dataclass(slots=True)
class _Tally:
    """What one record has taken so far."""

    started: float
    timeout: asyncio.Timeout = field(default_factory=lambda: asyncio.timeout(None))
    attempts: int = 0
    retries: int = 0
    repairs: int = 0
    unknown_attempts: int = 0
    usage: Usage = Usage()
    cost: Decimal | None = Decimal(0)
    asked: bool = False
    answer: str | None = None
    model: str | None = None
    service_tier: str | None = None
    mended: tuple[str, ...] = ()


@dataclass(slots=True)
class Asker:
    """Asks records one by one; all workers of a run share one, so that limits, cache and prices are shared too.

    `free` says that answers cost nothing (the offline service). `on_output_error` hears of a cache that cannot be
    written: the answer in hand still counts.
    """

    plan: Plan
    client: AsyncClient
    gate: Gate
    cache: ResponseCache | None = None
    limits: Limits = field(default_factory=Limits)
    retry_rejected: bool = False
    free: bool = False
    on_output_error: Callable[[OutputError], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = random.uniform
    _flying: dict[bytes, asyncio.Future[Interaction]] = field(default_factory=dict)
    _prices: dict[tuple[str, str | None], Price | None] = field(default_factory=dict)

    async def ask(self, record: Mapping[str, Any], row_id: Any) -> Outcome:
        """Return the outcome of one record. Raises only what ends the whole run (`STOPS`)."""
        tally = _Tally(self.clock())
        try:
            async with tally.timeout:
                value, row = await self._value(record, tally)
        except TimeoutError:
            return self._outcome(row_id, tally, error=AnswerTimeout(f"no answer within {self.limits.deadline:g} s"))
        except STOPS:
            raise
        except ExtractError as error:
            return self._outcome(row_id, tally, error=error)
        return self._outcome(row_id, tally, value=value, row=row)

    def _outcome(self, row_id: Any, tally: _Tally, **result: Any) -> Outcome:
        return Outcome(
            row_id=row_id,
            answer=tally.answer,
            usage=tally.usage,
            cost=tally.cost,
            attempts=tally.attempts,
            retries=tally.retries,
            repairs=tally.repairs if tally.asked else 0,
            unknown_attempts=tally.unknown_attempts,
            seconds=self.clock() - tally.started,
            cached=tally.answer is not None and not tally.asked,
            model=tally.model,
            service_tier=tally.service_tier,
            mended=tally.mended,
            **result,
        )

    async def _value(self, record: Mapping[str, Any], tally: _Tally) -> tuple[Any, tuple[Any, ...]]:
        """Go through the retry rounds: a rejected answer of an earlier run is replaced by that of a later round."""
        turns = await self._turns(record)
        retry_round = 0
        while True:
            try:
                return await self._valid(turns, retry_round, tally)
            except (InvalidAnswer, Incomplete, Blocked):
                following = self.plan.answer_key(turns, retry_round + 1)
                if tally.asked or not (self.retry_rejected or self._known(following)):
                    raise
                retry_round += 1

    async def _turns(self, record: Mapping[str, Any]) -> tuple[Turn, ...]:
        if self.plan.extractor.media:
            return await asyncio.to_thread(self.plan.turns, record)
        return self.plan.turns(record)

    async def _valid(self, turns: tuple[Turn, ...], retry_round: int, tally: _Tally) -> tuple[Any, tuple[Any, ...]]:
        """Ask, and show a wrong answer its errors as often as `repairs` allows. The context does not grow."""
        asked = turns
        left = self.plan.extractor.repairs
        while True:
            tally.answer = text = judge(await self._interaction(asked, retry_round, tally))
            try:
                value = self.plan.schema.validate(text)
                return value, self.plan.schema.row(value)
            except InvalidAnswer as error:
                if not left:
                    raise
                left -= 1
                tally.repairs += 1
                asked = (*turns, Turn.model(text), Turn.user(repair_text(error.issues)))

    async def _interaction(self, turns: Sequence[Turn], retry_round: int, tally: _Tally) -> Interaction:
        """Return the interaction for one request: from the cache, from an equal request in flight, or asked."""
        key = self.plan.answer_key(turns, retry_round)
        if (kept := self._known(key)) is not None:
            return decode(kept)
        while (flying := self._flying.get(key)) is not None:
            try:
                return await asyncio.shield(flying)
            except asyncio.CancelledError:
                if not flying.cancelled():  # it is this record that was cancelled, not the one it waited for
                    raise
        return await self._lead(key, self.plan.envelope.body(turns), tally)

    def _known(self, key: bytes) -> bytes | None:
        return self.cache.get(key) if self.cache else None

    async def _lead(self, key: bytes, body: bytes, tally: _Tally) -> Interaction:
        """Ask on behalf of all records that need this very request."""
        tally.asked = True
        flying = self._flying[key] = asyncio.get_running_loop().create_future()
        try:
            interaction = await self._insist(body, tally)
            await self._keep(key, interaction)
        except ExtractError as error:
            flying.set_exception(error)
            flying.exception()  # seen: nobody else may be waiting
            raise
        except BaseException:
            flying.cancel()
            raise
        finally:
            del self._flying[key]
        flying.set_result(interaction)
        return interaction

    async def _keep(self, key: bytes, interaction: Interaction) -> None:
        if self.cache is None:
            return
        try:
            await self.cache.keep(key, to_json(interaction.raw))
        except OutputError as error:
            self.on_output_error(error)

    async def _insist(self, body: bytes, tally: _Tally) -> Interaction:
        def retried() -> None:
            tally.retries += 1

        attempt: Callable[[], Awaitable[Interaction]] = lambda: self._attempt(body, tally)  # noqa: E731 - one line
        return await insist(attempt, self.limits.retry, uniform=self.uniform, sleep=self.gate.sleep, on_retry=retried)

    async def _attempt(self, body: bytes, tally: _Tally) -> Interaction:
        """Ask once, continuations included. What holds no answer is raised, so that it is neither kept nor judged."""
        interaction = await drive_async(
            create(body, lambda hop: self._bill(hop, tally)), lambda call: self._send(call, tally)
        )
        try:
            judge(interaction)
        except Unfinished:
            raise
        except ExtractError:
            pass  # cut or blocked: an answer of its kind, paid for and worth keeping
        return interaction

    async def _send(self, call: Call, tally: _Tally) -> Reply:
        if not call.body.startswith(b'{"store":false,'):
            raise ConfigError("a batch request must carry store=false; background and stored calls go through Client")
        ticket = await self.gate.enter(len(call.body) // 4)
        if self.limits.deadline is not None and tally.attempts == 0:
            # Counted from the first request: a row is not given up for having waited its turn.
            tally.timeout.reschedule(asyncio.get_running_loop().time() + self.limits.deadline)
        tally.attempts += 1
        try:
            reply = await self.client.exchange(call)
        except BaseException as error:
            if not isinstance(error, ExtractError) or (isinstance(error, Unreachable) and error.maybe_sent):
                tally.unknown_attempts += 1
            self.gate.leave(ticket, error)
            raise
        self.gate.leave(ticket, None)
        return reply

    def _bill(self, interaction: Interaction, tally: _Tally) -> None:
        """Add one whole answer to the record's account."""
        tally.model = interaction.model or self.plan.extractor.model
        tally.service_tier = interaction.service_tier
        if interaction.usage is None:
            tally.unknown_attempts += 1
            return
        tally.usage += interaction.usage
        if self.free:
            return
        price = self._price(tally.model, interaction.service_tier or self.plan.service_tier)
        known = price is not None and tally.cost is not None
        tally.cost = tally.cost + price.cost(interaction.usage) if known else None  # type: ignore[operator,union-attr]

    def _price(self, model: str, tier: str | None) -> Price | None:
        if (model, tier) not in self._prices:
            self._prices[model, tier] = find_price(model, tier)
        return self._prices[model, tier]
