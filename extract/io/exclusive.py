"""A name that one process holds at a time: that of an output, or of a cache that cannot be shared."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from extract.errors import OutputError
from extract.io.locks import Holder, LockFile, LocksUnavailable, network_disk

__all__ = ["Exclusive", "check_hosts", "lock_path"]

_log = logging.getLogger("extract.io")

_warned: set[tuple[str, Path]] = set()
_EVERY = 0.2  # seconds between two looks at a name that somebody else holds


def lock_path(path: Path) -> Path:
    """Return the lock file of an output or a cache: `out.parquet.lock`."""
    return path.with_name(path.name + ".lock")


class Exclusive:
    """The right to a name, dropped by the kernel with its process.

    `what` it is begins the message of a refusal, such as "the output"; `hint` ends it: what else may be done. Where
    locks do not work, the lock file alone says who holds the name: a process of this machine that has ended does not,
    and of another machine nobody can tell.
    """

    def __init__(self, path: Path, what: str, *, hint: str = "") -> None:
        self.path: Path = path
        self._what, self._hint = what, hint
        self._file: LockFile | None = None

    def take(self) -> None:
        """Take the name. OutputError with process, machine and age where another one holds it."""
        if (holder := self._try()) is not None:
            raise OutputError(f"{self._held(holder)}{self._hint}")

    async def wait(self) -> None:
        """Take the name as soon as it is free."""
        for _ in self._tries():
            await asyncio.sleep(_EVERY)

    def wait_here(self, sleep: Callable[[float], None] = time.sleep) -> None:
        """Do the same where there is no event loop."""
        for _ in self._tries():
            sleep(_EVERY)

    def close(self) -> None:
        """Give the name back, and leave no file behind."""
        if self._file is not None:
            self._file.remove()
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tries(self) -> Iterator[None]:
        reported = False
        while (holder := self._try()) is not None:
            if not reported:
                reported = True
                _log.warning("%s: this run waits until that has ended", self._held(holder))
            yield

    def _held(self, holder: Holder | str) -> str:
        return f"{self._what} {self.path} is used by another run ({holder})"

    def _try(self) -> Holder | str | None:
        """Take the name; return who holds it already, None where nobody did."""
        while True:
            with _closed_on_error(LockFile(lock_path(self.path))) as file:
                holder = self._holder(file)
                if holder is None and not file.is_current:  # removed by who held it, between our opening and our lock
                    file.close()
                    continue
                if holder is None:
                    file.write(0, Holder.this(whole=True))
                    self._file = file
                else:
                    file.close()
                return holder

    def _holder(self, file: LockFile) -> Holder | str | None:
        try:
            if not file.try_lock(0):
                return file.read(0) or "it has just begun"
            check_hosts(file, self.path, self._what)
        except LocksUnavailable:
            _warn_once(self.path, "no locks work where %s lies: a second run with this output or cache is refused")
            if (holder := file.read(0)) is not None and holder.is_alive:
                return f"{holder}; if it has ended, delete {file.path}"
        return None


def check_hosts(file: LockFile, path: Path, what: str) -> None:
    """Refuse, on a network file system, what another machine uses: no lock and no database is safe between two."""
    if (kind := network_disk(path)) is None:
        return
    for number in range(file.records):
        if (holder := file.read(number)) is not None and holder.is_elsewhere:
            message = (
                f"{what} {path} lies on a network file system ({kind}) and is used from another machine ({holder})"
            )
            raise OutputError(f"{message}; if that run has ended, delete {file.path}")
    _warn_once(path, f"%s lies on a network file system ({kind}): runs of other machines with it are refused")


def _warn_once(path: Path, message: str) -> None:
    """Say something about the folder of a path, once for its output and cache and all runs of this process."""
    if (warning := (message, path.parent.absolute())) not in _warned:
        _warned.add(warning)
        _log.warning(message, path)


@contextmanager
def _closed_on_error(file: LockFile) -> Iterator[LockFile]:
    try:
        yield file
    except BaseException:
        file.close()
        raise
