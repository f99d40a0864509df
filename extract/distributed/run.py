"""`extract run --engine ray`: Parquet in, one file out in the order of the input, and a Run as on one machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.data import DataContext, Dataset

from extract.distributed.cluster import cluster
from extract.distributed.collector import Collector
from extract.distributed.dataset import BLOCK_ROWS, cache_path, make_job, with_columns
from extract.distributed.inputs import parquet_files, parquet_height, parquet_schema
from extract.distributed.worker import Job
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.interactions.client import Client
from extract.io.sinks.base import footer
from extract.limits.budget import Budget
from extract.limits.limits import Limits
from extract.results.columns import OutputShape, output_schema
from extract.results.manifest import manifest_of
from extract.results.progress import Progress
from extract.results.run import Run
from extract.runner.options import AnswerRules
from extract.runner.run import make_sink
from extract.runner.sync import on_signals

__all__ = ["run_on_ray"]


def run_on_ray(
    data: str,
    extractor: Extractor,
    *,
    output: Path | None,
    client: Client,
    offline: bool,
    address: str | None,
    workers: int,
    pipeline: str,
    cache: Path | None,
    overwrite: bool,
    limits: Limits,
    budget: Budget | None,
    row_id: str | None = None,
    prefix: str = "",
    provenance: bool = False,
    samples: int = 1,
    limit: int | None = None,
    on_event: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Run:
    """Ask `extractor` of every row of a Parquet file, a folder of them or a glob, on a cluster.

    Options are those of `extract.run`; of `limits` the concurrency is each worker's, the rest that of all together.
    Raises as `extract.run` does.
    """
    if output is None:
        raise ConfigError("--engine ray needs a file for the rows: -o OUTPUT.parquet")
    paths = parquet_files(data)
    taken = parquet_schema(paths)
    plan = compile_extractor(extractor, client.endpoint, service_tier=options.get("service_tier")).fitted(list(taken))
    AnswerRules(samples=samples).check(extractor.generation)
    shape = OutputShape(row_id=row_id, prefix=prefix, provenance=provenance)
    schema = output_schema(taken, plan, shape, sampled=samples > 1)
    path, temporary = cache_path(cache)
    sink = make_sink(output, pipeline, path if temporary is None else None, data, overwrite=overwrite)
    collector = Collector(schema, len(taken), row_id, sink, on_event, parquet_height(paths, limit))
    with cluster(address):
        job = make_job(
            extractor,
            cache=path,
            client=None if offline else client,
            offline=offline,
            limits=limits,
            budget=budget,
            prefix=prefix,
            samples=samples,
            provenance=True,  # the counts of the summary are read from it
            **options,
        )
        manifest = manifest_of(pipeline, plan, job.service.endpoint, shape, data, samples=samples)
        sink.open(schema, footer(manifest))
        try:
            with on_signals(collector.interrupter(job.actors)):
                collector.collect(_dataset(paths, limit, job, _needed(workers, collector.height)), job.actors)
            return collector.finished(output, plan, job, manifest)
        except BaseException:
            sink.abandon()
            raise
        finally:
            job.actors.end()
            if temporary is not None:
                temporary.cleanup()


def _needed(workers: int, height: int | None) -> int:
    """Return how many workers there is a block for."""
    return workers if height is None else min(workers, -(-height // BLOCK_ROWS))


def _dataset(paths: list[str], limit: int | None, job: Job, workers: int) -> Dataset:
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Reading is little work, and on a small machine whole cores may not be left for it.
    dataset = ray.data.read_parquet(paths, num_cpus=0.1)
    return with_columns(dataset if limit is None else dataset.limit(limit), job, workers=workers)
