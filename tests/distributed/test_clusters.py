"""The same extractor on a Ray cluster of this machine; what needs Ray is part of scripts/test --all."""

from __future__ import annotations

import asyncio
import datetime as dt
import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import polars as pl
import pytest
from pydantic import BaseModel, Field
from uploads import Service as Uploaded

from extract import Budget, Client, ConfigError, Emulator, Extractor, Limits, NotRun, OutputError, ResponseCache, run
from extract.distributed.quota import ClusterQuota, WorkerReport
from extract.distributed.worker_quota import GrantedRateLimit, WorkerQuota
from extract.limits.limiter import Limiter
from extract.runner.options import OutputTarget, RunOptions
from extract.testing import running_server

needs_ray = [
    pytest.mark.ray,
    pytest.mark.skipif(
        find_spec("ray") is None, reason="Ray is not installed: pip install 'extract-interactions[ray]'"
    ),
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
WITHOUT_RAY = "import sys; sys.modules['ray'] = None; "


class Line(BaseModel):
    label: str
    price: Decimal = Field(decimal_places=2)


class Parcel(BaseModel):
    """One of each type that Parquet and Arrow might take differently."""

    kind: Literal["letter", "box"]
    weight: float | None
    value: Decimal = Field(decimal_places=2)
    sent: dt.date
    seen: dt.datetime
    took: dt.timedelta
    stamp: bytes
    lines: list[Line]
    notes: dict[str, int]


PARCELS = Extractor(Parcel, "What of this? {text}")


def parcel(body: dict[str, Any]) -> str:
    """Answer by the number in the text; every fifth answer is wrong, however often it is asked for."""
    number = int(str(body["input"][0]["content"][0]["text"]).rpartition(" ")[2])
    if number % 5 == 4:
        return "{}"
    answer = {
        "kind": "box" if number % 2 else "letter",
        "weight": None if number % 3 else number / 4,
        "value": f"{number}.50",
        "sent": "2026-03-01",
        "seen": "2026-03-01T10:00:00",
        "took": f"PT{number}S",
        "stamp": "aGVsbG8=",
        "lines": [{"label": f"line {number}", "price": "1.25"}] * (number % 3),
        "notes": {"n": number},
    }
    return json.dumps(answer)


def texts(count: int) -> pl.DataFrame:
    return pl.DataFrame({"key": [f"k{n}" for n in range(count)], "text": [f"parcel {n}" for n in range(count)]})


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A cluster that the tests of this module share: it takes some seconds to start."""
    from extract.distributed.cluster import cluster

    with cluster(None):
        yield


def on_cluster(folder: Path, url: str, extractor: Extractor = PARCELS, **options: Any) -> Any:
    """Run over `in.parquet` of a folder, on the cluster that is connected to."""
    from extract.distributed import ClusterSpec, run_on_ray

    spec = ClusterSpec(**{name: options.pop(name) for name in ("workers", "address", "offline") if name in options})
    keywords: Any = {
        "output": folder / "out.parquet",
        "pipeline": "parcels",
        "cache": folder / "out.parquet.cache",
        "limits": Limits(concurrency=8, stop_after_failures=0),
        "row_id": "key",
    }
    keywords |= options
    return run_on_ray(
        str(folder / "in.parquet"),
        extractor,
        RunOptions.of(**keywords),
        target=OutputTarget.of(**keywords),
        client=Client("key", base_url=url),
        spec=spec,
    )


def test_without_ray_one_line_names_the_extra() -> None:
    process = subprocess.run(
        [sys.executable, "-c", WITHOUT_RAY + "from extract.distributed import extract_dataset"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr.splitlines()[-1] == (
        "extract.errors.ConfigError: Ray is not installed; pip install 'extract-interactions[ray]'"
    )


def test_the_command_line_without_ray_is_wrong_usage_in_one_line(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "p.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "Sort {text}")\n')
    texts(2).write_parquet(tmp_path / "in.parquet")
    code = WITHOUT_RAY + "from extract.cli import main; main()"
    words = ["run", "p.py", "in.parquet", "-o", "out.parquet", "--offline", "--engine", "ray"]
    process = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert process.returncode == 2
    assert process.stderr.splitlines() == ["error: Ray is not installed; pip install 'extract-interactions[ray]'"]
    assert not (tmp_path / "out.parquet").exists()


def test_import_extract_loads_no_ray() -> None:
    code = "import sys, extract, extract.runner.run, extract.cli.app; print('ray' in sys.modules)"
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert process.stdout == "False\n"


class TestOnACluster:
    pytestmark = needs_ray

    def test_table_errors_and_types_are_those_of_one_machine(self, tmp_path: Path, cluster: None) -> None:
        import pyarrow.parquet as pq

        texts(40).write_parquet(tmp_path / "in.parquet")
        emulator = Emulator(answers=parcel)
        with running_server(emulator) as url:
            result = on_cluster(tmp_path, url)
            alone = run(
                tmp_path / "in.parquet",
                PARCELS,
                client=Client("key", base_url=url),
                output=tmp_path / "alone.parquet",
                row_id="key",
                pipeline="parcels",
                limits=Limits(stop_after_failures=0),
            )
        assert pl.read_parquet(result.output).equals(pl.read_parquet(alone.output))
        assert pl.read_parquet_schema(result.output) == pl.read_parquet_schema(alone.output)
        for ours, theirs in zip(pq.read_schema(result.output), pq.read_schema(alone.output), strict=True):
            assert ours.equals(theirs, check_metadata=True)
        assert result.errors.equals(alone.errors)
        same = ("rows", "valid", "rejected", "not_run", "cached", "requests", "repairs", "input_tokens", "errors")
        assert {name: result.summary()[name] for name in same} == {name: alone.summary()[name] for name in same}
        assert result.cost == alone.cost

    def test_many_rows_in_one_request_give_the_table_of_one_machine(self, tmp_path: Path, cluster: None) -> None:
        texts(40).write_parquet(tmp_path / "in.parquet")
        sorter = Extractor(["bug", "billing", "other"], "{text}", pack=8)
        emulator = Emulator()
        with running_server(emulator) as url:
            result = on_cluster(tmp_path, url, sorter, workers=1)
            asked = len(emulator.requests)
            alone = run(tmp_path / "in.parquet", sorter, client=Client("key", base_url=url), row_id="key")
        assert asked < 40 / 2
        assert result.summary()["requests"] == asked
        assert result.summary()["valid"] == 40
        assert pl.read_parquet(result.output).equals(alone.frame)

    def test_a_rerun_asks_nothing_whatever_the_number_of_workers_or_the_engine(
        self, tmp_path: Path, cluster: None
    ) -> None:
        texts(30).write_parquet(tmp_path / "in.parquet")
        emulator = Emulator(answers=parcel)
        with running_server(emulator) as url:
            first = on_cluster(tmp_path, url, workers=1)
            requests = len(emulator.requests)
            again = on_cluster(tmp_path, url, workers=3)
            alone = run(texts(30), PARCELS, client=Client("key", base_url=url), cache=tmp_path / "out.parquet.cache")
        assert requests == first.totals.requests == len(emulator.requests)
        assert (again.totals.requests, again.totals.cached) == (0, 30)
        assert (alone.totals.requests, alone.totals.cached) == (0, 30)

    def test_a_budget_is_that_of_all_workers(self, tmp_path: Path, cluster: None) -> None:
        texts(300).write_parquet(tmp_path / "in.parquet")
        emulator = Emulator(answers=parcel, latency=0.01)
        with running_server(emulator) as url:
            result = on_cluster(tmp_path, url, budget=Budget(requests=60))
        assert 50 <= len(emulator.requests) <= 60
        assert "requests is used up" in str(result.stopped)
        assert result.totals.not_run > 0
        assert result.output.name == "out.partial.parquet"

    def test_a_daily_limit_is_that_of_all_workers_and_of_earlier_runs(self, tmp_path: Path, cluster: None) -> None:
        from extract import QuotaExhausted

        limits = Limits(concurrency=8, rpd=25, stop_after_failures=0)
        label = Extractor(["letter", "box"], "Which is {text}?")
        emulator = Emulator(answers=lambda _: '{"value": "box"}', latency=0.01)
        with running_server(emulator) as url:
            texts(10).write_parquet(tmp_path / "in.parquet")
            assert on_cluster(tmp_path, url, label, limits=limits).complete
            texts(40).write_parquet(tmp_path / "in.parquet")
            result = on_cluster(tmp_path, url, label, limits=limits)
        assert isinstance(result.stopped, QuotaExhausted)
        # Permits that one worker still holds when another has used its own up are not used any more.
        assert 20 <= len(emulator.requests) <= 25
        assert (result.totals.requests, result.totals.valid) == (len(emulator.requests) - 10, len(emulator.requests))

    def test_a_refused_key_stops_all_workers(self, tmp_path: Path, cluster: None) -> None:
        from extract import Denied

        texts(3_000).write_parquet(tmp_path / "in.parquet")
        emulator = Emulator(api_key="another")
        with running_server(emulator) as url, pytest.raises(Denied):
            on_cluster(tmp_path, url)
        assert len(emulator.requests) <= 4

    def test_a_dataset_keeps_rejected_rows_and_says_why(self, tmp_path: Path, cluster: None) -> None:
        import ray.data

        from extract.distributed import extract_dataset

        with running_server(Emulator(answers=parcel)) as url:
            dataset = extract_dataset(
                ray.data.from_arrow(texts(10).to_arrow()),
                PARCELS,
                client=Client("key", base_url=url),
                limits=Limits(stop_after_failures=0),
                workers=1,
            )
            rows = sorted(dataset.take_all(), key=lambda row: row["text"])
        letters_and_boxes = ["letter", "box"] * 5
        assert [row["kind"] for row in rows] == [*letters_and_boxes[:4], None, *letters_and_boxes[5:9], None]
        assert [row["_error"] and row["_error"]["code"] for row in rows] == ([None] * 4 + ["invalid_answer"]) * 2

    def test_classes_of_ones_own_travel_and_those_of_packages_are_imported(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from ray import cloudpickle

        from extract.distributed.pickling import pack

        folders = {"own": tmp_path / "home", "mine": tmp_path / "home", "packaged": tmp_path / "lib" / "dist-packages"}
        for name, folder in folders.items():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.py").write_text("import pydantic\nclass Model(pydantic.BaseModel):\n    text: str\n")
            monkeypatch.syspath_prepend(folder)
        models = {name: importlib.import_module(name).Model for name in folders}
        monkeypatch.setitem(sys.modules, "alias", sys.modules["own"])
        cloudpickle.register_pickle_by_value(sys.modules["mine"])
        packed = {name: pack(Extractor(model, "{text}")) for name, model in models.items()}
        assert cloudpickle.list_registry_pickle_by_value() == {"mine"}
        cloudpickle.unregister_pickle_by_value(sys.modules["mine"])
        for name, folder in folders.items():
            monkeypatch.delitem(sys.modules, name)
            (folder / f"{name}.py").unlink()
        importlib.invalidate_caches()
        assert pickle.loads(packed["own"]).schema.__name__ == "Model"
        assert pickle.loads(packed["mine"]).schema.__name__ == "Model"
        with pytest.raises(ModuleNotFoundError, match="packaged"):
            pickle.loads(packed["packaged"])

    def test_a_cluster_seen_from_outside_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from ray.util.client import ray as client_mode

        from extract.distributed.actors import Actors
        from extract.distributed.service import Service

        texts(1).write_parquet(tmp_path / "in.parquet")
        with pytest.raises(ConfigError, match="with --address auto"):
            on_cluster(tmp_path, "http://127.0.0.1:9", address="ray://127.0.0.1:10001")
        monkeypatch.setattr(client_mode, "is_connected", lambda: True)
        with pytest.raises(ConfigError, match="with --address auto"):
            Actors.start(Limits(), None, tmp_path / "c", Service(Client("key").endpoint))

    async def test_a_lookup_blocks_nobody_and_is_not_older_than_what_was_stored(self) -> None:
        from extract.distributed.remote_cache import RemoteAnswerStore

        cache = FakeCacheActor()
        answers = RemoteAnswerStore("a", cache, {})
        lookup = asyncio.create_task(answers.prefetch([b"k", b"other"]))
        await asyncio.sleep(0)
        before = cache.stored.copy()
        await answers.keep(b"k", b"{}")  # while the lookup is under way
        cache.lookups.popleft().set_result(before)
        await asyncio.wait_for(lookup, 1)
        assert await asyncio.wait_for(answers.fetch(b"other"), 1) is None
        fetching = asyncio.create_task(answers.fetch(b"k"))
        await asyncio.sleep(0)
        cache.lookups.popleft().set_result(cache.stored)
        assert await asyncio.wait_for(fetching, 1) == b"{}"

    @pytest.mark.parametrize("broken", [TypeError("cannot be pickled"), SystemExit(3), MemoryError()])
    async def test_who_awaits_an_answer_that_cannot_be_stored_gets_the_error(self, broken: BaseException) -> None:
        from extract.distributed.remote_cache import RemoteAnswerStore

        answers = RemoteAnswerStore("a", FakeCacheActor(broken=broken), {})
        for _ in range(2):
            with pytest.raises(OutputError, match="could not be stored"):
                await asyncio.wait_for(answers.keep(b"k", b"{}"), 1)

    @pytest.mark.parametrize("broken", [TypeError("cannot be pickled"), SystemExit(3), MemoryError()])
    async def test_who_looks_up_an_answer_that_cannot_be_looked_up_gets_the_error(self, broken: BaseException) -> None:
        from extract.distributed.remote_cache import RemoteAnswerStore

        answers = RemoteAnswerStore("a", FakeCacheActor(broken=broken), {})
        for _ in range(2):
            with pytest.raises(OutputError, match="cannot be looked up"):
                await asyncio.wait_for(answers.fetch(b"k"), 1)

    @pytest.mark.parametrize("broken", [ValueError("a bug"), None])
    async def test_an_exchange_with_the_quota_that_fails_ends_the_run(self, broken: Exception | None) -> None:
        """None stands for a reply that is no grant."""

        async def send(_: WorkerReport) -> Any:
            if broken is not None:
                raise broken

        stops: list[Exception] = []
        client = client_with(send, stops)
        with pytest.raises(OutputError, match="the exchange with the quota failed"):
            await asyncio.wait_for(client.flush(), 1)
        assert len(stops) == 1
        with pytest.raises(OutputError):  # the next block, too
            await asyncio.wait_for(client.flush(), 1)

    async def test_a_flush_ends_once_the_successor_of_a_lost_quota_has_the_report(self) -> None:
        from ray.exceptions import RayActorError

        quota, reports = ClusterQuota(Limits()), 0

        async def send(report: WorkerReport) -> Any:
            nonlocal reports
            reports += 1
            if reports < 3:
                raise RayActorError
            return quota.exchange(report, reports)

        stops: list[Exception] = []
        await asyncio.wait_for(client_with(send, stops).flush(), 2)
        assert (reports, stops) == (3, [])

    def test_a_worker_that_breaks_ends_the_run_in_one_line(
        self, tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from extract.distributed import actors

        class Broken(actors.QuotaActor):
            def exchange(self, report: WorkerReport) -> Any:
                return "nonsense"

        monkeypatch.setattr(actors, "QuotaActor", Broken)
        texts(3).write_parquet(tmp_path / "in.parquet")
        with running_server(Emulator(answers=parcel)) as url, pytest.raises(OutputError) as raised:
            on_cluster(tmp_path, url)
        assert "the exchange with the quota failed" in str(raised.value)
        assert len(str(raised.value).splitlines()) == 1

    def test_a_quota_that_comes_back_knows_what_ended_the_run(self, tmp_path: Path, cluster: None) -> None:
        import ray

        from extract.distributed.actors import Actors, result_of
        from extract.distributed.service import Service

        actors = Actors.start(Limits(), None, tmp_path / "answers.cache", Service(Client("key").endpoint))
        try:
            result_of(lambda: actors.quota.stop.remote(NotRun("that is enough")))
            ray.kill(actors.quota, no_restart=False)
            assert str(result_of(actors.quota.state.remote).stopped) == "that is enough"
        finally:
            actors.end()

    def test_a_run_with_rows_that_were_not_reached_is_not_whole(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from extract.distributed import collector
        from extract.distributed.actors import RunState
        from extract.io.sinks.parquet import ParquetSink
        from extract.limits.budget import Amount
        from extract.results.ending import Opened, finish

        monkeypatch.setattr(collector, "result_of", lambda call: call())
        calls = {"state": RunState(3, Amount(), Decimal(0), None), "spent": [], "rung": 0, "close_files": 0}
        actor = SimpleNamespace(
            **{name: SimpleNamespace(remote=lambda *_, result=result: result) for name, result in calls.items()}
        )
        schema = pl.Schema({"text": pl.String()})
        sink = ParquetSink(tmp_path / "out.parquet")
        sink.open(schema, {})
        sink.write(pl.DataFrame({"text": ["a"]}))
        collected = collector.Collector(schema, None, sink, None, None)
        collected.totals.valid, collected.totals.not_run = 1, 2
        job: Any = SimpleNamespace(actors=SimpleNamespace(quota=actor, cache=actor), options=RunOptions())
        path = tmp_path / "out.parquet"
        opened = Opened(sink=sink, output=path, schema=schema, input_columns=1, manifest={}, losses=())
        result = finish(opened, collected.ending(job))
        assert result.output == tmp_path / "out.partial.parquet"
        assert "2 rows were not reached" in str(result.stopped)

    def test_files_stay_on_the_service_from_block_to_block_and_are_deleted_at_the_end(
        self, tmp_path: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from extract.distributed import run as engine

        monkeypatch.setattr(engine, "with_columns", partial(engine.with_columns, block_rows=2))
        pictures = [b"\x89PNG\r\n\x1a\n" + bytes([number]) * 2_000 for number in range(3)]
        rows = pl.DataFrame({"file": pictures * 4, "key": range(12)})
        rows.write_parquet(tmp_path / "in.parquet")
        options: dict[str, Any] = {"workers": 1, "overwrite": True, "inline_limit": 100}
        service = Uploaded(answers=lambda _: '{"value": "box"}')
        with running_server(service) as url:
            for question, keep_files, left in (("Which? {key}", True, 3), ("What? {key}", False, 0)):
                extractor = Extractor(["letter", "box"], question, media=("file",))
                result = on_cluster(tmp_path, url, extractor, keep_files=keep_files, **options)
                assert (result.totals.valid, result.files_left) == (12, 0)
                assert sorted(service.began.values()) == [1, 1, 1]
                assert service.left == left

    def test_a_smaller_run_over_a_whole_output_is_refused_and_sends_nothing(
        self, tmp_path: Path, cluster: None
    ) -> None:
        texts(12).write_parquet(tmp_path / "in.parquet")
        emulator = Emulator(answers=parcel)
        with running_server(emulator) as url:
            assert on_cluster(tmp_path, url, workers=1).totals.rows == 12
            asked = emulator.stats()["requests"]
            with pytest.raises(ConfigError, match=r"covers 12 rows, and this run only 5.*--overwrite"):
                on_cluster(tmp_path, url, workers=1, limit=5)
        assert emulator.stats()["requests"] == asked

    def test_the_bill_of_all_workers_is_unknown_where_one_answer_does_not_tell_its_usage(
        self, tmp_path: Path, cluster: None
    ) -> None:
        texts(12).write_parquet(tmp_path / "in.parquet")
        with running_server(Emulator(answers=lambda _: '{"value": "box"}', faults="no_usage=0.5", seed=1)) as url:
            result = on_cluster(tmp_path, url, Extractor(["letter", "box"], "{text}"), workers=2)
        assert (result.totals.valid, result.cost) == (12, None)
        assert 0 < result.totals.unknown_attempts < 12
        assert result.totals.unknown_cost > 0

    def test_killed_actors_of_each_kind_cost_what_was_in_flight_and_no_row(self, tmp_path: Path, cluster: None) -> None:
        rows, slots = 1_500, 8
        texts(rows).write_parquet(tmp_path / "in.parquet")
        emulator = Emulator(answers=lambda _: '{"value": "box"}', latency=0.05)

        def strike() -> None:
            for share, name in ((0.2, "MapWorker"), (0.4, "QuotaActor"), (0.6, "CacheActor")):
                while len(emulator.requests) < share * rows:
                    time.sleep(0.01)
                os.kill(actors_named(name)[0], signal.SIGKILL)

        with running_server(emulator) as url:
            striking = threading.Thread(target=strike, daemon=True)
            striking.start()
            label = Extractor(["letter", "box"], "Which is {text}?")
            result = on_cluster(tmp_path, url, label, limits=Limits(concurrency=slots))
            striking.join(timeout=1)
        assert not striking.is_alive()
        assert pl.read_parquet(result.output)["key"].to_list() == texts(rows)["key"].to_list()
        assert len(emulator.requests) - rows <= slots  # what the worker had in flight
        with ResponseCache(tmp_path / "out.parquet.cache", read_only=True) as cache:
            entered = sum(one.attempts for one in cache.spent())
        assert len(emulator.requests) - slots <= entered <= len(emulator.requests)


class FakeCacheActor:
    """The cache's actor without a cluster: the test resolves each lookup, and what is stored is there at once."""

    def __init__(self, *, broken: BaseException | None = None) -> None:
        self.stored: dict[bytes, bytes] = {}
        self.lookups: deque[asyncio.Future[dict[bytes, bytes]]] = deque()
        self.find = SimpleNamespace(remote=self._find)
        self.keep = SimpleNamespace(remote=self._keep)
        self._broken = broken

    def _find(self, keys: list[bytes]) -> asyncio.Future[dict[bytes, bytes]]:
        if self._broken is not None:
            raise self._broken
        self.lookups.append(asyncio.get_running_loop().create_future())
        return self.lookups[-1]

    async def _keep(
        self, worker: str, number: int, answers: list[tuple[bytes, bytes, int, str | None]], attempts: list[Any]
    ) -> None:
        if self._broken is not None:
            raise self._broken
        self.stored |= {key: text for key, text, *_ in answers}


def client_with(send: Callable[[WorkerReport], Awaitable[Any]], stops: list[Exception]) -> Any:
    """Return a worker's client of a quota that answers as `send` does."""
    from extract.distributed.quota_client import QuotaClient

    report_due = asyncio.Event()
    rate_limit = GrantedRateLimit(Limits(), report_due.set)
    limiter = Limiter(Limits(), asyncio.get_running_loop().time, rate_limit=rate_limit)
    return QuotaClient(WorkerQuota("a", limiter, rate_limit), send, report_due, stops.append)


def actors_named(name: str) -> list[int]:
    """Return the processes of actors of a class that descend from this process."""
    parents: dict[int, int] = {}
    named = []
    for folder in Path("/proc").iterdir():
        try:
            process = int(folder.name)
            parents[process] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if f"ray::{name}" in (folder / "cmdline").read_text():
                named.append(process)
        except (OSError, ValueError, IndexError):
            continue
    return [process for process in named if os.getpid() in ancestors(process, parents)]


def ancestors(process: int, parents: dict[int, int]) -> Iterator[int]:
    while (process := parents.get(process, 0)) > 1:
        yield process
