"""A thousand mixed files, uploads that fail, a kill -9 and an expiry: what is sent and left behind is counted.

    python benchmarks/uploads.py [FILES]

The command line runs in a process of its own against the emulator on a loopback socket. Equal files are
one request, so about three quarters of the files are asked. It is killed after a third of these answers and run again;
after two thirds all files on the service expire at a stroke.
Exit status 1 where a file was sent more often than that explains, was left behind, or a row was lost.
"""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import checkout  # noqa: F401 - before extract: the checkout's, not an installed one
import polars as pl
from pydantic_core import from_json

from extract import Client, Emulator
from extract.testing import running_server

ROOT = Path(__file__).resolve().parents[1]
INLINE_LIMIT = 2_000
TWO_DAYS = 49 * 3600.0
AT_ONCE = 8  # uploads under way at one time, which a kill cuts off
PIPELINE = 'from extract import Extractor\nextractor = Extractor(["spam", "ham"], "Which?", media=("path",))\n'


class Service(Emulator):
    """An emulator with a clock that can be put forward; it counts the uploads that began, by the file's hash."""

    def __init__(self, **options: Any) -> None:
        self.began: Counter[str] = Counter()
        self.later = 0.0
        options.setdefault("answers", lambda _: '{"value": "ham"}')
        super().__init__(clock=lambda: time.monotonic() + self.later, **options)

    @contextmanager
    def exchange(self, request: Any) -> Iterator[Any]:
        if request.headers.get("x-goog-upload-command") == "start":
            self.began[from_json(request.body)["file"]["display_name"]] += 1
        with super().exchange(request) as response:
            yield response

    @property
    def left(self) -> int:
        with Client("key", transport=self.transport) as client:
            return len(client.files.list())


def sound(draw: random.Random) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 1, 8_000, 0, "NONE", "not compressed"))
        file.writeframes(draw.randbytes(draw.randrange(4_000, 80_000)))
    return buffer.getvalue()


def page(draw: random.Random, number: int) -> bytes:
    sys.path.insert(0, str(ROOT / "tests"))
    from pdfs import pdf_of

    return pdf_of(*(f"Invoice {number}, page {n}: {draw.random():.6f}" for n in range(draw.randrange(6, 40))))


def mixed(count: int, folder: Path) -> dict[str, bytes]:
    """Write so many files, every fourth the copy of an earlier one, and return them by name."""
    draw = random.Random(7)
    files: dict[str, bytes] = {}
    for number in range(count):
        kind = draw.choice(("txt", "pdf", "png", "jpg", "wav", "small.png"))
        data = {
            "txt": lambda: b"Please buy now! " * draw.randrange(1, 2_000),
            "pdf": lambda n=number: page(draw, n),
            "png": lambda: b"\x89PNG\r\n\x1a\n" + draw.randbytes(draw.randrange(3_000, 400_000)),
            "jpg": lambda: b"\xff\xd8\xff\xe0" + draw.randbytes(draw.randrange(3_000, 400_000)),
            "wav": lambda: sound(draw),
            "small.png": lambda: b"\x89PNG\r\n\x1a\n" + draw.randbytes(900),
        }[kind]()
        if number % 4 == 3:
            name, data = draw.choice(list(files.items()))
            kind = name.split(".", 1)[1]
        files[f"{number:04}.{kind}"] = data
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return files


def started(work: Path, url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "extract", "run", "label.py", "files", "-o", "out.parquet", "--base-url", url]
    options = ["--inline-limit", str(INLINE_LIMIT), "--concurrency", "32", "--quiet"]
    environment = {"GEMINI_API_KEY": "key", "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    return subprocess.Popen(command + options, cwd=work, env=environment, text=True, stderr=subprocess.PIPE)


def wait_until(process: subprocess.Popen[str], service: Service, answered: int) -> None:
    while service.stats()["by_status"].get("200", 0) < answered and process.poll() is None:
        time.sleep(0.005)


def main(count: int) -> int:
    service = Service(latency=0.05, faults="upload_503=0.05,upload_cut=0.05,upload_lost=0.03,503=0.03")
    with tempfile.TemporaryDirectory() as place, running_server(service) as url:
        work = Path(place)
        (work / "files").mkdir()
        files = mixed(count, work / "files")
        (work / "label.py").write_text(PIPELINE)
        large = [d for name, d in files.items() if len(d) > INLINE_LIMIT and not name.endswith(".txt")]
        distinct = {hashlib.sha256(data).hexdigest() for data in large}
        print(f"{count} files, {len(large)} to be uploaded, {len(distinct)} of them distinct")
        first = started(work, url)
        wait_until(first, service, count // 4)
        first.kill()
        first.communicate()
        time.sleep(0.3)
        sent, stranded = sum(service.began.values()), service.left
        print(f"killed: {sent} uploads had begun, {stranded} files were on the service")
        second = started(work, url)
        wait_until(second, service, count // 2)
        alive = service.left
        service.later += TWO_DAYS
        print(f"expired: {alive} files at a stroke")
        _, said = second.communicate(timeout=300)
        rows = pl.read_parquet(work / "out.parquet")
        errors = work / "out.errors.parquet"
        rejected = pl.read_parquet(errors).height if errors.exists() else 0
    repeated = sum(service.began.values()) - len(distinct)
    stats = service.stats()
    print(f"exit status {second.returncode} {said.strip()}; {rows.height} rows valid, {rejected} rejected")
    print(f"faults that struck: { {name: n for name, n in stats['faults'].items() if n} }")
    print(f"{len(service.began)} distinct files sent, {repeated} again, {max(service.began.values())} times at most")
    print(f"{service.left} files left on the service")
    good = second.returncode == 0 and rows.height == count and rejected == 0 and service.left == 0
    return int(not (good and service.began.keys() == distinct and repeated <= alive + AT_ONCE))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
