"""Large files of a run: uploaded once each, used again while they live, and none left behind, whatever happens."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from clocks import wait_for
from pdfs import pdf_of
from typer.testing import CliRunner
from uploads import Service

from extract import AsyncClient, BadRecord, Client, Extractor, Limits, MediaPart, ResponseCache, Retry, run
from extract.cli.app import app
from extract.documents.parts import Turn
from extract.emulator.messages import WireRequest, WireResponse
from extract.runner.options import UploadPolicy
from extract.runner.uploads import Uploads
from extract.testing import running_server

QUICK = Retry(first_wait=0.001, longest_wait=0.01)
ASKED = Extractor(["spam", "ham"], "Which?", media=("file",))
ASKED_BY_PATH = Extractor(["spam", "ham"], "Which?", media=("path",))
TWO_DAYS = 49 * 3600.0


def client_of(service: Service) -> Client:
    return Client("key", transport=service.transport, retry=QUICK)


def picture(number: int, size: int = 3_000) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + random.Random(number).randbytes(size)


def pictures(count: int) -> pl.DataFrame:
    return pl.DataFrame({"file": [picture(number) for number in range(count)]})


def mixed_files() -> list[bytes]:
    """Return 200 files, 120 of them distinct, of which every fourth is small."""
    sizes = random.Random(1)
    made = [pdf_of(f"invoice {n}") + b"%" * sizes.randrange(9_000) + b"\n%%EOF" for n in range(30)]
    made += [picture(n, 200 if n % 3 == 0 else sizes.randrange(2_000, 600_000)) for n in range(90)]
    files = made + sizes.choices(made, k=80)
    sizes.shuffle(files)
    return files


def test_two_hundred_files_survive_failing_uploads_and_an_expiry_and_leave_nothing_behind(tmp_path: Path) -> None:
    files = mixed_files()
    distinct = {data for data in files if len(data) > 1_000}
    service = Service(faults="upload_503=0.1,upload_cut=0.1,upload_lost=0.05", answers=lambda _: answer())
    answered = 0

    def answer() -> str:
        nonlocal answered
        answered += 1
        if answered == 60:
            service.later += TWO_DAYS
        return '{"value": "ham"}'

    result = run(
        pl.DataFrame({"file": files}),
        ASKED,
        client=client_of(service),
        cache=tmp_path / "c",
        limits=Limits(concurrency=16, retry=QUICK),
        inline_limit=1_000,
    )
    repeated = sum(service.began.values()) - len(distinct)
    faults = {name: count for name, count in service.stats()["faults"].items() if count}
    print(f"{len(distinct)} large files, {repeated} uploaded anew after the expiry, faults {faults}")  # noqa: T201
    assert (result.totals.valid, result.totals.rejected) == (200, 0)
    assert len(service.began) == len(distinct)
    assert max(service.began.values()) <= 2
    assert 0 < repeated < 60
    assert result.totals.retries >= 1
    assert service.left == 0
    again = run(
        pl.DataFrame({"file": files}), ASKED, client=client_of(service), cache=tmp_path / "c", inline_limit=1_000
    )
    assert (again.totals.cached, again.totals.requests) == (200, 0)
    assert sum(service.began.values()) == len(distinct) + repeated


def test_equal_files_are_uploaded_once_and_small_ones_not_at_all() -> None:
    service = Service()
    rows = pl.DataFrame({"file": [picture(1), picture(2, 100)] * 10, "n": [str(n) for n in range(20)]})
    extractor = Extractor(["spam", "ham"], "Which? {n}", media=("file",))
    result = run(rows, extractor, client=client_of(service), inline_limit=1_000)
    assert result.totals.valid == 20
    assert list(service.began.values()) == [1]
    assert service.left == 0


def test_a_request_never_holds_more_than_its_limit_inline() -> None:
    service = Service()

    async def place() -> list[bool]:
        parts = [MediaPart(kind="image", mime_type="image/png", data=picture(n, 1_000 * n)) for n in (1, 4, 2, 3)]
        async with AsyncClient("key", transport=service.transport) as client:
            uploads = Uploads(client.files, "test", policy=UploadPolicy(inline_limit=9_000), max_inline_bytes=5_000)
            async with uploads.placed([Turn.user(*parts)]) as (turn,):
                inline = [isinstance(part, MediaPart) and part.data is not None for part in turn.parts]
            await uploads.close()
            return inline

    assert asyncio.run(place()) == [True, False, True, False]
    assert service.left == 0


def test_an_answer_has_the_same_key_inline_and_uploaded(tmp_path: Path) -> None:
    service = Service()
    options: dict[str, Any] = {"client": client_of(service), "cache": tmp_path / "c"}
    run(pictures(3), ASKED, **options)
    again = run(pictures(3), ASKED, **options, inline_limit=0)
    assert (again.totals.cached, again.totals.requests) == (3, 0)
    assert not service.began
    first = run(pictures(6), ASKED, **options, inline_limit=0)
    assert (first.totals.cached, len(service.began)) == (3, 3)
    assert run(pictures(6), ASKED, **options).totals.cached == 6


def test_kept_files_are_used_by_the_next_run_and_deleted_by_it(tmp_path: Path) -> None:
    service = Service()
    options: dict[str, Any] = {"client": client_of(service), "cache": tmp_path / "c", "inline_limit": 1_000}
    run(pictures(4), ASKED, **options, keep_files=True)
    assert service.left == 4
    other = Extractor(["good", "bad", "ham"], "Which?", media=("file",))
    assert run(pictures(4), other, **options).totals.valid == 4
    assert list(service.began.values()) == [1, 1, 1, 1]
    assert service.left == 0
    with ResponseCache(tmp_path / "c") as cache:
        assert cache.files.size("google") == 0


def test_kept_files_that_have_expired_are_uploaded_anew(tmp_path: Path) -> None:
    service = Service()
    options: dict[str, Any] = {"client": client_of(service), "cache": tmp_path / "c", "inline_limit": 1_000}
    run(pictures(2), ASKED, **options, keep_files=True)
    service.later += TWO_DAYS
    other = Extractor(["good", "bad", "ham"], "Which?", media=("file",))
    result = run(pictures(2), other, **options)
    assert (result.totals.valid, result.totals.retries) == (2, 0)
    assert list(service.began.values()) == [2, 2]
    assert service.left == 0


def test_a_file_that_the_service_cannot_read_is_an_error_of_its_rows_alone() -> None:
    service = Service(upload_faults=["file_failed"])
    rows = pl.DataFrame({"file": [picture(1), picture(1), picture(2)], "n": ["a", "b", "c"]})
    extractor = Extractor(["spam", "ham"], "Which? {n}", media=("file",))
    result = run(rows, extractor, client=client_of(service), limits=Limits(concurrency=1), inline_limit=1_000)
    assert result.errors["code"].to_list() == ["bad_record", "bad_record"]
    assert result.totals.valid == 1
    assert list(service.began.values()) == [1, 1]
    assert service.left == 0


def test_an_upload_that_keeps_failing_is_an_error_of_its_row() -> None:
    service = Service(upload_faults=["upload_503"] * 3)
    limits = Limits(concurrency=1)
    client = Client("key", transport=service.transport, retry=Retry(failures=1, first_wait=0.001, patience=0.001))
    result = run(pictures(8), ASKED, client=client, limits=limits, inline_limit=1_000)
    assert result.stopped is None
    assert set(result.errors["code"]) == {"overloaded"}
    assert result.totals.valid >= 5
    assert service.left == 0


def test_a_file_is_used_once_it_is_active() -> None:
    service = Service(processing_seconds=0.3)
    assert run(pictures(2), ASKED, client=client_of(service), inline_limit=1_000).totals.valid == 2
    assert service.left == 0


def test_the_quota_of_the_project_is_kept_by_deleting_what_nobody_needs() -> None:
    service = Service(latency=0.005)
    peak = 0

    async def use(uploads: Uploads, client: AsyncClient, numbers: tuple[int, ...]) -> None:
        nonlocal peak
        parts = [MediaPart(kind="image", mime_type="image/png", data=picture(n, 992)) for n in numbers]
        async with uploads.placed([Turn.user(*parts)]):
            await asyncio.sleep(0.01)
            peak = max(peak, sum(file.size or 0 for file in await client.files.list()))

    async def work() -> None:
        async with AsyncClient("key", transport=service.transport) as client:
            uploads = Uploads(client.files, "test", policy=UploadPolicy(inline_limit=0), max_bytes=3_500)
            draws = random.Random(2)
            rows = [tuple(draws.sample(range(12), draws.choice([1, 2, 3]))) for _ in range(40)]
            await asyncio.gather(*(use(uploads, client, numbers) for numbers in rows))
            with pytest.raises(BadRecord, match="take more"):
                await use(uploads, client, (1, 2, 3, 4))
            await uploads.close()

    asyncio.run(asyncio.wait_for(work(), 30))
    assert 2_000 <= peak <= 3_000
    assert service.left == 0


SCRIPT = """
import random, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import polars as pl
from extract import Client, Extractor, Limits, run

rows = pl.DataFrame({"file": [b"\\x89PNG\\r\\n\\x1a\\n" + random.Random(n).randbytes(3_000) for n in range(60)]})
asked = Extractor(["spam", "ham"], "Which?", media=("file",))
client = Client("key", base_url=sys.argv[1])
run(rows, asked, client=client, cache="answers.cache", limits=Limits(concurrency=8), inline_limit=1_000)
"""


@contextmanager
def begun(service: Service, folder: Path, environment: dict[str, str]) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Start the script; it has had some answers and files are on the service."""
    here = environment | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with running_server(service) as url:
        command = [sys.executable, "-c", SCRIPT, url]
        process = subprocess.Popen(command, cwd=folder, env=here, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(lambda: service.stats()["requests"] >= 20 or process.poll() is not None)
            yield url, process
        finally:
            process.kill()


def test_a_run_after_a_kill_uploads_nothing_twice_and_leaves_nothing_behind(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    service = Service(latency=0.03, faults="upload_503=0.1,upload_cut=0.1,upload_lost=0.05")
    with begun(service, tmp_path, environment) as (url, process):
        process.kill()
        process.communicate(timeout=15)
        time.sleep(0.2)
        stranded, sent = service.left, sum(service.began.values())
        assert stranded >= 20
        result = run(
            pictures(60),
            ASKED,
            client=Client("key", base_url=url),
            cache=tmp_path / "answers.cache",
            inline_limit=1_000,
        )
    cut = sum(service.began.values()) - 60
    print(f"killed after {sent} uploads with {stranded} files there; {cut} cut off and sent anew")  # noqa: T201
    assert (result.totals.valid, result.totals.rejected) == (60, 0)
    assert result.totals.cached >= 10
    assert cut <= sent - stranded
    assert service.left == 0


@pytest.mark.parametrize("times", [1, 2])
def test_an_interrupted_run_leaves_nothing_behind(times: int, tmp_path: Path, environment: dict[str, str]) -> None:
    service = Service(latency=0.05)
    with begun(service, tmp_path, environment) as (_, process):
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.01)
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0, stderr
        assert sum(service.began.values()) < 60
        assert service.left == 0


@pytest.mark.parametrize(("options", "left"), [([], 0), (["--keep-files"], 1)])
def test_the_command_line_keeps_files_where_it_is_told_to(
    options: list[str], left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", "key")
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "a.png").write_bytes(picture(1, 8_100_000))
    (tmp_path / "label.py").write_text(
        'from extract import Extractor\nextractor = Extractor(["spam", "ham"], "Which?", media=("path",))\n'
    )
    service = Service()
    with running_server(service) as url:
        command = ["run", tmp_path / "label.py", tmp_path / "scans", "-o", tmp_path / "out.parquet", "--base-url", url]
        result = CliRunner().invoke(app, [*map(str, command), "--quiet", *options])
    assert result.exit_code == 0, result.output
    assert list(service.began.values()) == [1]
    assert service.left == left


def test_a_file_too_large_for_a_request_is_uploaded_from_disk(tmp_path: Path) -> None:
    with (tmp_path / "film.mp4").open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(72_000_000)
    service = Service()
    result = run(tmp_path, ASKED_BY_PATH, client=client_of(service))
    assert (result.totals.valid, list(service.began.values())) == (1, [1])
    assert service.left == 0


def test_a_file_that_is_written_to_while_it_is_uploaded_is_an_error_of_its_row(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with path.open("wb") as file:
        file.write(b"\0\0\0\x20ftypisom")
        file.truncate(72_000_000)

    class Meddler(Service):
        @contextmanager
        def exchange(self, request: WireRequest) -> Iterator[WireResponse]:
            if request.headers.get("x-goog-upload-command") == "start":
                with path.open("r+b") as file:
                    file.seek(60_000_000)
                    file.write(b"other")
            with super().exchange(request) as response:
                yield response

    service = Meddler()
    result = run(tmp_path, ASKED_BY_PATH, client=client_of(service))
    assert result.errors["code"].to_list() == ["bad_record"]
    assert "changed while it was uploaded" in result.errors["message"][0]
    assert service.left == 0


def test_two_processes_with_one_cache_leave_each_other_their_files(tmp_path: Path, environment: dict[str, str]) -> None:
    service = Service(latency=0.05)
    with begun(service, tmp_path, environment) as (url, process):
        other = pl.DataFrame({"file": [picture(1_000)]})
        there = service.left
        run(other, ASKED, client=Client("key", base_url=url), cache=tmp_path / "answers.cache", inline_limit=1_000)
        assert process.poll() is None
        assert service.left >= there - 1
        _, stderr = process.communicate(timeout=20)
        assert process.returncode == 0, stderr
    assert sum(service.began.values()) == 61
    assert service.left == 0


def test_files_that_cannot_be_deleted_are_told_of_and_left_to_the_next_run(tmp_path: Path) -> None:
    class Stubborn(Service):
        stubborn = True

        @contextmanager
        def exchange(self, request: WireRequest) -> Iterator[WireResponse]:
            if request.method == "DELETE" and self.stubborn:
                yield WireResponse(500)
                return
            with super().exchange(request) as response:
                yield response

    service = Stubborn()
    options: dict[str, Any] = {"cache": tmp_path / "c", "inline_limit": 1_000, "limits": Limits(retry=QUICK)}
    client = Client("key", transport=service.transport, retry=Retry(failures=1, first_wait=0.001))
    result = run(pictures(2), ASKED, client=client, **options)
    assert (result.totals.valid, result.files_left, service.left) == (2, 2, 2)
    service.stubborn = False
    again = run(pictures(2), ASKED, client=client, **options)
    assert (again.totals.cached, again.files_left, service.left) == (2, 0, 0)
