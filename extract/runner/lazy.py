"""A run as a Polars IO source: rows are asked as the query reads them, and each is paid for once.

Polars reads a source by a generator, in threads of its own choice, and may close the generator from any thread, even
from that of the garbage collector. So the run has its own event loop in its own thread, the generator never waits
while it is closed, and a third thread ends the loop after the last reader.
"""

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
from typing import Any, Unpack, cast

import polars as pl
from polars.io.plugins import register_io_source

from extract.errors import ConfigError, NotRun, OutputError
from extract.extractor.extractor import Extractor
from extract.extractor.plan import compile_extractor
from extract.io.cache.response_cache import ResponseCache
from extract.io.forks import check_fork
from extract.io.sinks.base import Sink
from extract.results.columns import output_schema
from extract.results.run import Run
from extract.runner.assembly import check_pack
from extract.runner.event_loop import new_loop
from extract.runner.keywords import checks_keywords
from extract.runner.options import LazyKeywords, RunKeywords, RunOptions
from extract.runner.run import ask_all, run
from extract.runner.scheduler import Scheduler
from extract.runner.service import NOWHERE

__all__ = ["SINK_INSTEAD", "lazy_run"]

SINK_INSTEAD = "sink the lazy frame, or use extract.run"
_MAX_AHEAD = 2  # frames by which a run may be ahead of the query that reads it
_POLL_SECONDS = 0.1  # between two checks of whether it is still read


@checks_keywords(LazyKeywords, as_in=run, instead=SINK_INSTEAD)
def lazy_run(source: pl.LazyFrame, extractor: Extractor, **options: Unpack[LazyKeywords]) -> pl.LazyFrame:
    """Return a LazyFrame of all input columns and one typed column per field; rejected rows are null.

    >>> import polars as pl
    >>> from extract import Extractor, lazy_run
    >>> reviews = pl.LazyFrame({"text": ["I love it", "It broke"]})
    >>> lazy_run(reviews, Extractor(["praise", "complaint"], "{text}"), offline=True).head(1).collect().shape
    (1, 2)

    Nothing is asked before it is collected. `head(n)` asks n rows; behind a filter the run is a few blocks of 128 rows
    ahead of its reader. Options are those of `extract.run` without an output.

    Polars may read a source more than once, so there is always a cache: by default a temporary one, which lives as long
    as the lazy frame. Collecting raises what stopped the run, as an ExtractError or inside a ComputeError of Polars.
    After Ctrl-C the program ends when the requests in flight are in the cache; a file that Polars was writing stays
    behind unfinished, unlike that of `run(output=...)`.
    """
    check_fork()
    if not isinstance(source, pl.LazyFrame):
        raise ConfigError(f"lazy_run takes a LazyFrame, as of pl.scan_csv, not a {type(source).__name__}; or call run")
    run_options = RunOptions.of(**options)
    input_schema = source.collect_schema()
    check_pack(extractor, "a lazy frame")
    plan = compile_extractor(extractor, NOWHERE).fitted(list(input_schema))
    schema = output_schema(input_schema, plan, run_options.shape, sampled=run_options.rules.samples > 1)
    # The roots are read once: an iterator of folders would be empty for a second scan.
    scans = _Scans(source, extractor, {**options, "root": run_options.root})
    return register_io_source(scans.read, schema=schema)


class _Scans:
    """All scans of one lazy frame: they run in one event loop and share one cache, so that no row is paid twice."""

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
        """Yield frames until Polars has read enough."""
        if n_rows == 0:
            return
        sink = _QueueSink()
        loop, cache = self._open()
        # Behind a filter nobody knows how many rows are needed: then the queue alone bounds the run.
        limit = n_rows if predicate is None else None
        future = asyncio.run_coroutine_threadsafe(self._run(sink, cache, limit), loop)
        # The garbage collector may close this generator in a thread that the run itself needs. So nothing here may
        # wait: another thread ends the loop.
        ending = threading.Thread(target=self._close, args=(sink,), name="extract-lazy-end", daemon=False)
        future.add_done_callback(lambda _: ending.start())
        try:
            for frame in sink.frames(future):
                rows = frame if predicate is None else frame.filter(predicate)
                rows = rows if with_columns is None else rows.select(with_columns)
                with sink.released():
                    yield rows
            result = future.result()
            if result.stopped is not None:
                raise result.stopped
            if result.interrupted:
                raise NotRun("the program ended before the lazy frame was read; answers so far are in its cache")
        finally:
            sink.closed.set()  # ends the run where the query has read enough
            with suppress(RuntimeError):  # not held where Ctrl-C came in the middle of `released`
                sink.reading.release()

    async def _run(self, sink: _QueueSink, cache: ResponseCache, limit: int | None) -> Run:
        options = cast("RunKeywords", {**self._options, "cache": cache, "sink": sink, "limit": limit, "errors": "null"})
        started: asyncio.Future[Scheduler] = asyncio.get_running_loop().create_future()
        watch = asyncio.create_task(_stop_unread(started, sink))
        try:
            return await ask_all(self._source, self._extractor, options, started.set_result)
        finally:
            watch.cancel()
            sink.end()

    def _open(self) -> tuple[asyncio.AbstractEventLoop, ResponseCache]:
        with self._lock:
            if self._loop is None or self._cache is None:
                self._cache = self._path if isinstance(self._path, ResponseCache) else ResponseCache(self._path)
                self._loop = new_loop()
                # Polars' threads are daemons and pass that on, but the program must wait for requests in flight.
                self._thread = threading.Thread(target=_run_loop, args=(self._loop,), name="extract-lazy", daemon=False)
                self._thread.start()
            self._active += 1
            return self._loop, self._cache

    def _close(self, sink: _QueueSink) -> None:
        """End the event loop after its last scan, so that no thread is left when Python exits."""
        with sink.reading:
            pass  # only waits for the generator: held longer, closing it in the loop that ends here would deadlock
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
    """Stop a run as soon as Polars has closed its generator."""
    runner = await started
    while not sink.closed.is_set():
        await asyncio.sleep(_POLL_SECONDS)
        with suppress(KeyboardInterrupt):
            _poll_polars()
    runner.stop(_no_reader())


def _poll_polars() -> None:
    """Let Polars close the generators that it no longer reads. Raises KeyboardInterrupt where Ctrl-C ends its queries.

    Polars notices both in threads without the GIL, and passes them on to Python only at the next call into Polars.
    """
    pl.DataFrame().slice(0, 0)


def _no_reader() -> OutputError:
    return OutputError("nobody reads this lazy frame any more")


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, even where Polars raises KeyboardInterrupt in this thread."""
    while True:
        try:
            return loop.run_forever()
        except KeyboardInterrupt:
            continue


class _QueueSink(Sink):
    """Passes frames to the reading thread through a short queue, so that the run waits for its reader."""

    rows_at_once = 1  # each block is passed on as it is finished

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.reading = threading.Lock()  # held while code of the reading generator runs
        self.reading.acquire()
        self._queue: queue.Queue[pl.DataFrame | None] = queue.Queue(maxsize=_MAX_AHEAD)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the generator while the query has a frame: it may then be closed from any thread."""
        self.reading.release()
        try:
            yield
        finally:
            self.reading.acquire()

    def write(self, frame: pl.DataFrame) -> None:
        self._put(frame)

    def end(self) -> None:
        """Mark the end of the frames for the reader. Never waits, as it is called in the event loop."""
        self.closed.set()
        with suppress(queue.Full):  # then the reader sees that the run is done once it has emptied the queue
            self._queue.put_nowait(None)

    def frames(self, run: Future[Any]) -> Iterator[pl.DataFrame]:
        """Yield the frames that are written, until the run is over."""
        while True:
            try:
                frame = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                if run.done():
                    return
                _poll_polars()
                continue
            if frame is not None:
                yield frame

    def _put(self, frame: pl.DataFrame) -> None:
        # Polars may leave a generator without closing it: a program that exits must not wait for its reader.
        while not self.closed.is_set() and not getattr(executors, "_shutdown", False):
            try:
                return self._queue.put(frame, timeout=0.1)
            except queue.Full:
                continue
        raise _no_reader()
