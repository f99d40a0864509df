"""`extract run --engine ray`: Parquet in, one file out in the order of the input, and a Run as of one machine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

import ray
from ray.data import DataContext, Dataset

from extract.distributed.actors import result_of
from extract.distributed.cluster import ClusterSpec, cluster
from extract.distributed.collector import Collector
from extract.distributed.dataset import BLOCK_ROWS, cache_path, make_job, with_columns
from extract.distributed.inputs import parquet_files, parquet_height, parquet_schema
from extract.distributed.worker import Job
from extract.documents.roots import Roots
from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.interactions.client import Client
from extract.io.cache.sharing import whole_cache
from extract.io.sources import input_folder
from extract.results.columns import output_schema
from extract.results.ending import Opened, finish
from extract.results.manifest import manifest_of
from extract.results.progress import Progress
from extract.results.run import Run
from extract.runner.assembly import check_members, held_output_here, open_target
from extract.runner.cache_service import key_service, notes_on_file
from extract.runner.options import OutputTarget, RunOptions
from extract.runner.sync import on_signals

__all__ = ["run_on_ray"]

_log = logging.getLogger("extract.distributed")


def run_on_ray(
    data: str,
    extractor: Extractor,
    options: RunOptions,
    *,
    target: OutputTarget,
    client: Client,
    spec: ClusterSpec,
    on_event: Callable[[Progress], None] | None = None,
) -> Run:
    """Ask `extractor` of every row of a Parquet file, a folder of them or a glob, on a cluster.

    `options.limits.concurrency` is for each worker; the other limits are for all together. Raises what `run` raises.
    """
    if target.path is None:
        raise ConfigError("--engine ray needs a file for the rows: -o OUTPUT.parquet")
    if options.accept is not None:
        raise ConfigError("accept asks gold rows first, which a cluster cannot: leave out --engine ray")
    options.reading.check_for("the Parquet files of --engine ray")
    with held_output_here(target):
        return _run_on_ray(data, extractor, options, target=target, client=client, spec=spec, on_event=on_event)


def _run_on_ray(
    data: str,
    extractor: Extractor,
    options: RunOptions,
    *,
    target: OutputTarget,
    client: Client,
    spec: ClusterSpec,
    on_event: Callable[[Progress], None] | None,
) -> Run:
    paths = parquet_files(data)
    input_schema = parquet_schema(paths)
    name = key_service(client.endpoint, options.cache_service)
    compiled = compile_extractor(extractor, client.endpoint, service=name, service_tier=options.service_tier)
    plan = compiled.fitted(list(input_schema))
    options.rules.check(extractor.generation)
    options = replace(options, root=Roots.joined(options.root, input_folder(data)))
    shape = options.shape
    path, temporary = cache_path(target.cache_path)
    for note in notes_on_file(path, plan.service):
        _log.warning("%s", note)
    pipeline = target.pipeline or plan.schema.name
    height = parquet_height(paths, options.limit)
    # Far away a limit is taken for the height, which may be less.
    sink, replaced = open_target(target, pipeline, data, options, None if "://" in paths[0] else height)
    schema = output_schema(input_schema, plan, shape, sampled=options.rules.samples > 1)
    check_members(target, schema)
    collector = Collector(schema, shape.row_id, sink, on_event, height)
    # Workers name rows by their place in a block. The summary is counted from the provenance; the output has that
    # column only where it was requested.
    block_shape = replace(shape, row_id=None, provenance=True, errors="null")
    worker_options = replace(options, shape=block_shape)
    with cluster(spec.address):
        job = make_job(
            extractor, worker_options, cache=path, client=None if spec.offline else client, offline=spec.offline
        )
        manifest = manifest_of(pipeline, plan, job.service.endpoint, shape, data, samples=options.rules.samples)
        opened = Opened(
            sink=sink,
            output=target.path,
            explode=target.explode,
            csv_safe=target.csv_safe,
            schema=schema,
            input_columns=len(input_schema),
            manifest=manifest,
            losses=plan.schema.losses,
            answers=plan.schema,
            replaced=replaced,
        )
        sink.open(schema, manifest)
        try:
            with whole_cache(path), on_signals(collector.interrupter(job.actors)):
                dataset = _dataset(paths, options.limit, job, _useful_workers(spec.workers, collector.height))
                collector.collect(dataset, job.actors)
            result = finish(opened, collector.ending(job))
            # Only now: an actor that fails here must not cost the output.
            result.rung = result_of(lambda: job.actors.cache.rung.remote(plan.schema_key))
            result.files_left = result_of(job.actors.cache.close_files.remote)
            return result
        except BaseException:
            sink.abandon()
            raise
        finally:
            job.actors.end()
            if temporary is not None:
                temporary.cleanup()


def _useful_workers(workers: int, height: int | None) -> int:
    """Return the number of workers, at most one for each block."""
    return workers if height is None else min(workers, -(-height // BLOCK_ROWS))


def _dataset(paths: list[str], limit: int | None, job: Job, workers: int) -> Dataset:
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # Reading needs little CPU, and a small machine may have no whole core left for it.
    dataset = ray.data.read_parquet(paths, num_cpus=0.1)
    return with_columns(dataset if limit is None else dataset.limit(limit), job, workers=workers)
