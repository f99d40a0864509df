"""For tests of your own pipelines, offline: the emulator with scripted answers, in this process or on a socket.

    from extract import Client, run
    from extract.testing import Emulator, running_server, scripted

    emulator = Emulator(answers=scripted({"charged twice": {"topic": "billing"}}, default={"topic": "other"}))
    result = run(["I was charged twice"], extractor, client=Client("any", transport=emulator.transport))
    with running_server(emulator) as url:
        result = run(["I was charged twice"], extractor, client=Client("any", base_url=url))

`Fault`, `Calls` and `Steps` script what is not a plain answer; `Quotas` and `Delays` group options. The server needs
the extra `emulator`, the rest does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from extract.emulator import Calls, Delays, Emulator, Fault, Quotas, SeenRequest, Steps
from extract.emulator.answers import Answer
from extract.emulator.conversation import split_input, turns_of
from extract.emulator.messages import refusal
from extract.errors import ConfigError

__all__ = [
    "Calls",
    "Delays",
    "Emulator",
    "Fault",
    "Quotas",
    "SeenRequest",
    "Steps",
    "record_text",
    "running_server",
    "scripted",
]


def record_text(body: dict[str, Any]) -> str:
    """Return the text of the record in a request's body: the user's latest turn, without examples before it.

    Use it in a function of your own that answers as the model would:

        Emulator(answers=lambda body: {"label": "spam" if "buy" in record_text(body) else "ham"})
    """
    turns = list(turns_of(split_input(body.get("input"))[1]))
    return next((turn.text for turn in reversed(turns) if turn.role == "user"), "")


def scripted(answers: Mapping[str, Answer], *, default: Answer | None = None) -> Callable[[dict[str, Any]], Answer]:
    """Return answers by the record's text, for `Emulator(answers=...)`: the order of the requests does not matter.

    The first key that occurs in the record's text gives the answer, `default` where none does. Without a default such a
    request is refused (400, not retried) with a message that shows the text. An answer is text, an object that is sent
    as JSON, a `Fault`, `Calls` or `Steps`.

        Emulator(answers=scripted({"charged twice": {"topic": "billing"}, "broken link": Fault("blocked")}))
    """

    def answer(body: dict[str, Any]) -> Answer:
        text = record_text(body)
        result = next((one for key, one in answers.items() if key in text), default)
        if result is None:
            raise refusal(f"No scripted answer fits the record {text[:200]!r}; known: {', '.join(answers)}.")
        return result

    return answer


@contextmanager
def running_server(emulator: Emulator) -> Iterator[str]:
    """Serve `emulator` on a free loopback port; yield the base URL, stop at the end of the context.

    The server runs in a thread of this process, so that `emulator.stats()` and `emulator.requests` show what it
    received. ConfigError where starlette or uvicorn is missing: they come with the extra `emulator`.

        with running_server(Emulator(answers=["spam"])) as url:
            client = Client("any", base_url=url)
    """
    try:
        from extract.emulator.server import running_server as serve  # noqa: PLC0415 - needs the extra
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is needed: pip install 'extract-interactions[emulator]'") from None
    with serve(emulator) as url:
        yield url
