"""The command line in this process: the same `main`, without the second that a new interpreter takes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import TypeAlias

import pytest

from extract.cli import main

__all__ = ["Extract", "in_process"]

Extract: TypeAlias = Callable[..., "subprocess.CompletedProcess[str]"]
"""Words of a command line in, with environment variables by name; status and outputs out."""


def in_process(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Extract:
    """Return what runs a command line in the current folder, and fails where it shows a traceback."""

    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["extract", *arguments])
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        capfd.readouterr()
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return subprocess.CompletedProcess(arguments, int(left.value.code or 0), out, err)

    return call
