"""A service that is dead from the beginning: nothing has the output's name, and the cause is on the screen."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
from commands import Extract, in_process

ROWS = 60
BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 12\r\n\r\n<h1>502</h1>"


@pytest.fixture
def extract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    (tmp_path / "sort.py").write_text('from extract import Extractor\nextractor = Extractor(["a", "b"], "{text}")\n')
    (tmp_path / "rows.csv").write_text("\n".join(["text", *(f"row {number}" for number in range(ROWS))]))
    monkeypatch.chdir(tmp_path)
    return in_process(monkeypatch, capfd)


@contextmanager
def dead(kind: str) -> Iterator[str]:
    """Yield the address of a service that refuses connections, answers 502 to all, or takes requests in silence."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        serving = threading.Thread(target=_serve, args=(listening, kind))
        if kind == "refused":
            listening.close()
        serving.start()
        yield url
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        serving.join()


def _serve(listening: socket.socket, kind: str) -> None:
    with ExitStack() as stack, suppress(OSError):
        while True:
            taken, _ = listening.accept()
            stack.enter_context(taken)
            if kind == "502":
                answering = threading.Thread(target=_refuse, args=(taken,))
                answering.start()
                stack.callback(answering.join)
                stack.callback(_hang_up, taken)


def _refuse(taken: socket.socket) -> None:
    with suppress(OSError):
        while taken.recv(65_536):
            taken.sendall(BAD_GATEWAY)


def _hang_up(taken: socket.socket) -> None:
    with suppress(OSError):
        taken.shutdown(socket.SHUT_RDWR)


CAUSES = {"refused": "Connect call failed", "502": "502", "silent": "was not whole 0.05 s after its request was sent"}


@pytest.mark.parametrize("form", ["plain", "json", "quiet"])
@pytest.mark.parametrize("kind", CAUSES)
def test_nothing_has_the_name_of_the_output_and_the_cause_is_shown(
    tmp_path: Path, extract: Extract, kind: str, form: str
) -> None:
    options = {"plain": [], "json": ["--json"], "quiet": ["-q"]}[form]
    with dead(kind) as url:
        words = ("run", "sort.py", "rows.csv", "-o", "out.csv", "--base-url", url, "--patience", "0.3s", *options)
        done = extract(*words, "--request-timeout", "0.05s", "--stop-after-failures", "3")
    assert done.returncode == 1
    assert CAUSES[kind] in done.stdout + done.stderr
    named = {path.name for path in tmp_path.glob("out*") if ".cache" not in path.name}
    assert named <= {"out.errors.partial.parquet"}  # of rows that were asked, each with its reason
    assert not named or kind == "silent"
    if form == "json":
        stopped = json.loads(done.stdout)["stopped"]
        assert CAUSES[kind] in stopped["message"]
        assert stopped["code"] in ("too_many_failures", "unavailable")
