"""Quotas and delays of the emulator, as values and by their shorthands."""

from __future__ import annotations

import inspect
from dataclasses import fields
from typing import Any

import pytest

from extract import ConfigError, Emulator
from extract.emulator import Delays, Quotas, WireRequest

CREATE = WireRequest(
    "POST", "/v1beta/interactions", headers={"x-goog-api-key": "k"}, body=b'{"model": "gemini-x", "input": "hello"}'
)


def statuses(emulator: Emulator) -> list[int]:
    return [emulator.handle(CREATE).status for _ in range(3)]


@pytest.mark.parametrize("options", [{"rpm": 2}, {"quotas": Quotas(rpm=2)}])
def test_a_quota_and_its_shorthand_are_the_same(options: dict[str, Any]) -> None:
    assert statuses(Emulator(clock=lambda: 0.0, **options)) == [200, 200, 429]


def test_each_field_has_a_shorthand_and_each_shorthand_sets_it() -> None:
    names = {"details": "quota_details"}
    keywords = inspect.signature(Emulator).parameters
    for kind, argument in ((Quotas, "quotas"), (Delays, "delays")):
        for field in fields(kind):
            shorthand = names.get(field.name, field.name)
            assert keywords[shorthand].default is None
            with pytest.raises(ConfigError, match=rf"{field.name} and {argument}= were both given"):
                Emulator(**{argument: kind(), shorthand: 1})  # type: ignore[arg-type] # wrong on purpose


def test_a_delay_and_its_shorthand_are_the_same() -> None:
    options: tuple[dict[str, Any], ...] = (
        {"latency": 0.2, "latency_spread": 0.5},
        {"delays": Delays(latency=0.2, latency_spread=0.5)},
    )
    short, long = (
        [emulator.handle(CREATE).latency for _ in range(3)] for emulator in (Emulator(**one) for one in options)
    )
    assert short == long
    assert len(set(short)) == 3


def test_a_false_shorthand_beside_a_value_is_refused_too() -> None:
    with pytest.raises(ConfigError, match=r"put all of them into Quotas\(...\)"):
        Emulator(quotas=Quotas(rpm=2), retry_after=False)
    with pytest.raises(ConfigError, match=r"put all of them into Delays\(...\)"):
        Emulator(delays=Delays(latency=2), latency=0.0)


def test_values_that_cannot_be_are_refused_where_they_are_made() -> None:
    with pytest.raises(ConfigError, match="tpm must be at least 1, not 0"):
        Quotas(tpm=0)
    with pytest.raises(ConfigError, match="latency_spread must be 0 or more"):
        Delays(latency_spread=float("inf"))
