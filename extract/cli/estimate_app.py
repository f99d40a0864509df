"""The options of `extract estimate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from extract.cli.arguments import (
    AsJson,
    CacheService,
    Encoding,
    Input,
    Model,
    Pack,
    Pipeline,
    Quote,
    Root,
    Separator,
    Sheet,
)

__all__ = ["estimate"]


def estimate(
    pipeline: Pipeline,
    data: Input,
    model: Model = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first N rows.")] = None,
    csv_separator: Separator = None,
    csv_quote: Quote = None,
    csv_encoding: Encoding = None,
    sheet: Sheet = None,
    cache: Annotated[Path | None, typer.Option(help="The cache of the run: answers in it cost nothing.")] = None,
    paid_sample: Annotated[
        int | None, typer.Option(min=2, metavar="N", help="Ask and pay for N rows to measure their tokens.")
    ] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the API.")] = None,
    cache_service: CacheService = None,
    samples: Annotated[int, typer.Option(min=1, help="As in the run: ask each row N times.")] = 1,
    pack: Pack = None,
    rpm: Annotated[float | None, typer.Option(min=1, help="Your quota, requests a minute, for the time.")] = None,
    tpm: Annotated[float | None, typer.Option(min=1, help="Your quota, input tokens a minute.")] = None,
    rpd: Annotated[float | None, typer.Option(min=1, help="Your quota, requests a day.")] = None,
    root: Root = None,
    gold: Annotated[
        str | None, typer.Option(help="Say how often the right label is among the candidates of these rows.")
    ] = None,
    answer: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of the label in --gold.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a run would send and cost. Nothing is sent without --paid-sample."""
    from extract.cli.estimate import Quota, estimate_command

    estimate_command(
        pipeline,
        data,
        model=model,
        limit=limit,
        cache=cache,
        paid_sample=paid_sample,
        base_url=base_url,
        cache_service=cache_service,
        samples=samples,
        pack=pack,
        root=root,
        reading={
            "csv_separator": csv_separator,
            "csv_quote": csv_quote,
            "csv_encoding": csv_encoding,
            "sheet": sheet,
        },
        quota=Quota(rpm=rpm, tpm=tpm, rpd=rpd),
        gold=gold,
        answer=answer,
        as_json=as_json,
    )
