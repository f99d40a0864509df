"""`extract_dataset`: a Ray Dataset in, a lazy Dataset with typed columns out; nothing is sent before it is read."""

from __future__ import annotations

import os
import weakref
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Unpack

import polars as pl
import pyarrow as pa
from ray.data import ActorPoolStrategy, Dataset

from extract.distributed.actors import Actors
from extract.distributed.error_column import ERROR
from extract.distributed.pickling import pack
from extract.distributed.service import Service
from extract.distributed.worker import Job, Worker
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.interactions.client import AsyncClient, Client
from extract.interactions.endpoint import Endpoint
from extract.interactions.requests import ServiceTier
from extract.limits.limits import Limits
from extract.results.columns import output_schema
from extract.runner.assembly import check_extractor, check_pack, check_terms
from extract.runner.cache_service import key_service
from extract.runner.keywords import checks_keywords
from extract.runner.options import AskKeywords, RunOptions
from extract.runner.run import run
from extract.runner.service import NOWHERE, endpoint_of, offline_client

__all__ = ["BLOCK_ROWS", "cache_path", "extract_dataset", "make_job", "with_columns"]

BLOCK_ROWS = 1_024  # rows that are looked up again after a worker is lost, and that a worker holds in memory
_BLOCKS_AT_ONCE = 3  # for each worker: while the last rows of one are in flight, the next has begun


@checks_keywords(AskKeywords, as_in=run, instead="read and write with Ray Data, or use extract.run")
def extract_dataset(
    dataset: Dataset,
    extractor: Extractor,
    *,
    workers: int = 2,
    client: Client | AsyncClient | None = None,
    offline: bool = False,
    cache: str | os.PathLike[str] | None = None,
    block_rows: int = BLOCK_ROWS,
    **options: Unpack[AskKeywords],
) -> Dataset:
    """Return the dataset that asks `extractor` of every row, as it is read: all rows, with one typed column per field.

    Rejected rows hold nulls, and the struct column `_error` (code, message, path, answer, attempts) says why; it is
    null for valid rows. The columns have the types that `extract.run` gives them.

        import ray
        from extract import Extractor, Limits
        from extract.distributed import extract_dataset

        sentiment = Extractor(["praise", "complaint"], "{text}")
        reviews = ray.data.read_parquet("reviews/")
        extract_dataset(reviews, sentiment, workers=4, limits=Limits(rpm=600)).write_parquet("labelled/")

    - `workers`: the number of actors that send requests, each with `limits.concurrency` in flight. All other limits and
      the `budget` are for the whole cluster.
    - `client`: which address and key to use; a client with its own transport cannot be sent to the workers.
    - `offline`: True gives each worker a built-in emulator: no key, no cost, and no language model.
    - `cache`: a path on this machine. One actor stores the answers there, so that nothing is paid twice when a worker
      is lost or their number changes; `extract.run` can use the same file. By default a temporary one.
    - `keep_files`: leave uploaded files on the service for the next run with the same cache. Else they are deleted once
      nothing holds the dataset any more, or by that run.
    - `block_rows`: how many rows a worker takes at a time.

    The other options are those of `extract.run`. Rows keep their order where `preserve_order` of the dataset's
    execution options is set. A run that is stopped (budget, quota, key) gives the rest the code `not_run`. Raises
    ConfigError and SchemaError before anything is sent.
    """
    check_extractor(extractor)
    run_options = RunOptions.of(**options)
    run_options.rules.check(extractor.generation)
    if workers < 1 or block_rows < 1:
        raise ConfigError(f"workers and block_rows are at least 1, not {workers} and {block_rows}")
    input_schema = _schema_of(dataset)
    plan = compile_extractor(extractor, NOWHERE).fitted(list(input_schema))
    output_schema(input_schema, plan, run_options.shape, sampled=run_options.rules.samples > 1)
    path, temporary = cache_path(cache)
    job = make_job(extractor, run_options, cache=path, client=client, offline=offline)
    # Ray's plan holds the job for as long as anything that was made of the dataset may be read.
    weakref.finalize(job, _end, job.actors, temporary)
    return with_columns(dataset, job, workers=workers, block_rows=block_rows)


def _end(actors: Actors, temporary: TemporaryDirectory[str] | None) -> None:
    """Stop the actors, and delete the cache where it was temporary."""
    actors.end()
    if temporary is not None:
        temporary.cleanup()


def cache_path(cache: str | os.PathLike[str] | None) -> tuple[Path, TemporaryDirectory[str] | None]:
    """Return the path of the cache, and the temporary folder around it where the user named none.

    There is always a cache, as Ray may run a block twice.
    """
    if cache is not None:
        return Path(cache).absolute(), None
    folder = TemporaryDirectory(prefix="extract-")
    return Path(folder.name) / "answers.cache", folder


def make_job(
    extractor: Extractor, options: RunOptions, *, cache: Path, client: Client | AsyncClient | None, offline: bool
) -> Job:
    """Check what can be checked here, start the actors, and return what each worker needs to know."""
    check_pack(extractor, "a cluster")
    endpoint = _endpoint(client, offline=offline, service_tier=options.service_tier)
    name = key_service(endpoint, options.cache_service)
    plan = compile_extractor(extractor, endpoint, service=name, service_tier=options.service_tier)
    if options.budget is not None and options.budget.total is not None:
        raise ConfigError("a total budget (--budget-total) cannot be kept on a cluster: give this run its own --budget")
    check_terms(plan, options.budget, free=offline, require_grounding=options.rules.require_grounding)
    limits = options.limits or (Limits() if client is None else Limits(retry=client.retry))
    service = Service(endpoint, offline)
    actors = Actors.start(limits, options.budget, cache, service, keep_files=options.uploads.keep_files)
    return Job(extractor=pack(extractor), service=service, actors=actors, options=replace(options, limits=limits))


def _endpoint(client: Client | AsyncClient | None, *, offline: bool, service_tier: ServiceTier | None) -> Endpoint:
    if offline and client is not None:
        raise ConfigError("offline=True brings its own service; leave out client=")
    if client is not None and any(getattr(client, name, None) is not None for name in ("transport", "http_client")):
        raise ConfigError("a client with its own transport or http_client cannot be sent to the workers of a cluster")
    return endpoint_of(offline_client() if offline else client, service_tier)


def _schema_of(dataset: Dataset) -> pl.Schema:
    """Return the types of a dataset's columns; no row is read where the source knows them."""
    arrow = dataset.schema()
    if arrow is None or not isinstance(arrow.base_schema, pa.Schema):
        raise ConfigError("the dataset has no rows, or no columns with types of Arrow")
    schema = pl.DataFrame(pl.from_arrow(arrow.base_schema.empty_table())).schema
    if ERROR in schema:
        raise ConfigError(f"the input has a column {ERROR!r}, as the output will: rename or drop it first")
    return schema


def with_columns(dataset: Dataset, job: Job, *, workers: int, block_rows: int = BLOCK_ROWS) -> Dataset:
    """Return the dataset with the columns that a pool of workers adds."""
    pool = ActorPoolStrategy(
        size=workers,
        max_tasks_in_flight_per_actor=_BLOCKS_AT_ONCE + 1,
        max_concurrent_calls_per_actor=_BLOCKS_AT_ONCE,
        enable_true_multi_threading=True,
    )
    return dataset.repartition(target_num_rows_per_block=block_rows).map_batches(
        Worker,
        fn_constructor_kwargs={"job": job},
        batch_size=None,
        batch_format="pyarrow",
        zero_copy_batch=True,
        compute=pool,
        # Workers wait for the network nearly all of the time: one core can do some 5,000 requests a second.
        num_cpus=0,
    )
