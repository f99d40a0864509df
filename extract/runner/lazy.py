"""A run as a Polars IO source: rows are asked as the query wants them, and each is paid for once."""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
import tempfile
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import thread as executors
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Unpack

import polars as pl
from polars.io.plugins import register_io_source

from extract.errors import NotRun, OutputError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.io.cache.response_cache import ResponseCache
from extract.io.sinks.base import Sink
from extract.results.columns import output_schema
from extract.results.run import Run
from extract.runner.event_loop import new_loop
from extract.runner.keywords import checks_keywords
from extract.runner.options import LazyKeywords, RunKeywords, RunOptions
from extract.runner.run import ask_all, run
from extract.runner.scheduler import Scheduler
from extract.runner.service import NOWHERE

__all__ = ["SINK_INSTEAD", "lazy_run"]

SINK_INSTEAD = "sink the lazy frame, or use extract.run"
_AHEAD = 2  # frames that a run may be ahead of the query that reads it
_LOOK_EVERY = 0.1  # seconds between two looks at whether it is still read


@checks_keywords(LazyKeywords, as_in=run, instead=SINK_INSTEAD)
def lazy_run(source: pl.LazyFrame, extractor: Extractor, **options: Unpack[LazyKeywords]) -> pl.LazyFrame:
    """Return a LazyFrame of all input columns and one typed column per field; rejected rows are null.

        lazy_run(pl.scan_parquet("reviews.parquet"), extractor, offline=True).head(5).collect()

    Nothing is asked before it is collected. `head(n)` asks n rows; behind a filter the run is some blocks of 128 rows
    ahead of its reader. Options are those of `extract.run` without an output.

    Polars may read a source more than once: answers are always kept in a cache, by default in a temporary one that
    lives as long as the lazy frame. Collecting raises what stopped the run, as an ExtractError or inside of Polars'
    ComputeError. After Ctrl-C the program ends when what is in flight is in the cache; a file that Polars was sinking
    to stays behind unfinished, unlike that of `run(output=...)`.
    """
    checked = RunOptions.of(**options)
    input_schema = source.collect_schema()
    plan = compile_extractor(extractor, NOWHERE).fitted(list(input_schema))
    schema = output_schema(input_schema, plan, checked.shape, sampled=checked.rules.samples > 1)
    scans = _Scans(source, extractor, options)
    return register_io_source(scans.read, schema=schema)


class _Scans:
    """All readings of one lazy frame: they run in one event loop and share one cache, so that none pays twice."""

    def __init__(self, source: pl.LazyFrame, extractor: Extractor, options: LazyKeywords) -> None:
        self._source, self._extractor, self._options = source, extractor, options
        self._lock = threading.Lock()
        self._active = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._cache: ResponseCache | None = None
        self._path: ResponseCache | str | os.PathLike[str] = options.get("cache") or self._temporary()

    def _temporary(self) -> Path:
        folder = tempfile.mkdtemp(prefix="extract-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / "answers.cache"

    def read(
        self,
        with_columns: list[str] | None,
        predicate: pl.Expr | None,
        n_rows: int | None,
        batch_size: int | None,  # noqa: ARG002 - blocks come as they are finished
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows as Polars asks for them."""
        if n_rows == 0:
            return
        sink = _QueueSink()
        loop, cache = self._enter()
        limit = n_rows if predicate is None else None
        running = asyncio.run_coroutine_threadsafe(self._run(sink, cache, limit), loop)
        # The garbage collector may close this generator in a thread that the run itself needs: nothing here may wait.
        ending = threading.Thread(target=self._leave, args=(sink,), name="extract-lazy-end", daemon=False)
        running.add_done_callback(lambda _: ending.start())
        try:
            for frame in sink.frames(running):
                chosen = frame if predicate is None else frame.filter(predicate)
                chosen = chosen if with_columns is None else chosen.select(with_columns)
                with sink.lent():
                    yield chosen
            result = running.result()
            if result.stopped is not None:
                raise result.stopped
            if result.interrupted:
                raise NotRun("the program ended before the lazy frame was read; answers so far are in its cache")
        finally:
            sink.closed.set()  # the reader may have had enough
            with suppress(RuntimeError):  # Ctrl-C may come at the very moment of a hand-over
                sink.reading.release()

    async def _run(self, sink: _QueueSink, cache: ResponseCache, limit: int | None) -> Run:
        options: RunKeywords = {
            **self._options,
            "cache": cache,
            "output": None,
            "sink": sink,
            "overwrite": False,
            "errors": "null",
            "limit": limit,
            "pipeline": None,
        }
        started: asyncio.Future[Scheduler] = asyncio.get_running_loop().create_future()
        watch = asyncio.create_task(_stop_unread(started, sink))
        try:
            return await ask_all(self._source, self._extractor, options, started.set_result)
        finally:
            watch.cancel()
            sink.end()

    def _enter(self) -> tuple[asyncio.AbstractEventLoop, ResponseCache]:
        with self._lock:
            if self._loop is None or self._cache is None:
                self._cache = self._path if isinstance(self._path, ResponseCache) else ResponseCache(self._path)
                self._loop = new_loop()
                # Threads that begin in one of Polars' are daemons, but a program must wait for what is in flight.
                self._thread = threading.Thread(target=_spin, args=(self._loop,), name="extract-lazy", daemon=False)
                self._thread.start()
            self._active += 1
            return self._loop, self._cache

    def _leave(self, sink: _QueueSink) -> None:
        """End the loop with its last reader: no thread stays behind, and none is at work here when Python ends."""
        with sink.reading:
            pass  # never for longer: the generator may be closed in the loop that ends here
        with self._lock:
            self._active -= 1
            if self._active or self._loop is None or self._thread is None or self._cache is None:
                return
            asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            if self._cache is not self._path:
                self._cache.close()
            self._loop = self._thread = self._cache = None


async def _stop_unread(started: asyncio.Future[Scheduler], sink: _QueueSink) -> None:
    """End a run whose reader has had enough, as soon as Polars lets go of it."""
    runner = await started
    while not sink.closed.is_set():
        await asyncio.sleep(_LOOK_EVERY)
        with suppress(KeyboardInterrupt):
            _hear_of_polars()
    runner.stop(_unread())


def _hear_of_polars() -> None:
    """Let Polars drop the sources that it no longer reads. Raises KeyboardInterrupt where a Ctrl-C ends its queries.

    It learns of both in threads without the GIL, and Python hears of it only at the next call into Polars.
    """
    pl.DataFrame().slice(0, 0)


def _unread() -> OutputError:
    return OutputError("nobody reads this lazy frame any more")


def _spin(loop: asyncio.AbstractEventLoop) -> None:
    """Turn a loop until it is stopped. Polars raises Ctrl-C in whichever thread it works for: that ends a run, only."""
    while True:
        try:
            return loop.run_forever()
        except KeyboardInterrupt:
            continue


class _QueueSink(Sink):
    """Hands frames to another thread, few at a time: a run goes no further than its reader wants."""

    rows_at_once = 1  # each block as it is finished

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.reading = threading.Lock()  # held by whoever is inside of the reading generator
        self.reading.acquire()
        self._queue: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=_AHEAD)

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Let go of the generator while the query has a frame; it may be closed there from any thread."""
        self.reading.release()
        try:
            yield
        finally:
            self.reading.acquire()

    def write(self, frame: pl.DataFrame) -> None:
        self._put(frame)

    def end(self) -> None:
        """Tell the reader that no more frames will come; never waits, for it is called in the event loop."""
        self.closed.set()
        with suppress(queue.Full):  # then the reader will look again once it has emptied it
            self._queue.put_nowait(None)

    def frames(self, running: Future[Any]) -> Iterator[pl.DataFrame]:
        """Yield what was written until the run is over."""
        while True:
            try:
                frame = self._queue.get(timeout=_LOOK_EVERY)
            except queue.Empty:
                if running.done():
                    return
                _hear_of_polars()
                continue
            if frame is not None:
                yield frame

    def _put(self, frame: pl.DataFrame) -> None:
        # Polars may leave a source without closing it: a program that ends must not wait for its reader.
        while not self.closed.is_set() and not getattr(executors, "_shutdown", False):
            try:
                return self._queue.put(frame, timeout=0.1)
            except queue.Full:
                continue
        raise _unread()
