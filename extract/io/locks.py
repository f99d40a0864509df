"""Locks that the kernel drops when their process ends, however it ends: after `kill -9` nothing waits for expiry.

On Linux they are locks of open file descriptions: each holds a range of bytes, two in one process exclude each other,
and closing some other handle of the file drops none. Elsewhere there is only one lock, of the whole file.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import struct
import sys
import time
import weakref
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, Self

from extract.errors import OutputError

if sys.platform == "linux":
    import fcntl
elif sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["HAS_RANGES", "Holder", "LockFile", "LocksUnavailable", "network_disk"]

HAS_RANGES = sys.platform == "linux"
_RECORD_BYTES = 256
_BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length, process
_MAX_HOST = 100
# What several machines may have mounted at once, by its name in /proc/self/mountinfo.
_NETWORK = {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs"}
_NETWORK |= {"lustre", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}


class LocksUnavailable(Exception):
    """The file system takes no locks."""


class Range(NamedTuple):
    """Bytes of a file that another process has locked."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: a process of a machine, since a Unix time. `whole`: it shares the file with nobody."""

    pid: int
    host: str
    since: float
    whole: bool = False

    @classmethod
    def this(cls, *, whole: bool = False) -> Self:
        """Return this process, as from now."""
        return cls(os.getpid(), socket.gethostname()[:_MAX_HOST], time.time(), whole)

    @property
    def is_elsewhere(self) -> bool:
        """True for a process of another machine."""
        return self.host != socket.gethostname()[:_MAX_HOST]

    @property
    def is_alive(self) -> bool:
        """False for a process of this machine that has ended; of others nobody can tell."""
        if self.is_elsewhere or os.name == "nt":
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except (OSError, OverflowError):
            return True  # somebody else's
        return True

    @property
    def name(self) -> str:
        """The process and its machine, in words."""
        return f"process {self.pid} on {self.host}"

    def __str__(self) -> str:
        return f"{self.name}, for {_age(max(0.0, time.time() - self.since))}"


def _age(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


_open: weakref.WeakSet[LockFile] = weakref.WeakSet()


class LockFile:
    """An open file that is there for its locks; its first bytes say who holds them, in records of 256 bytes.

    Raises OutputError where it cannot be opened, LocksUnavailable where it cannot be locked.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._fd = os.open(path, flags, 0o600)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                os.close(self._fd)
                raise OSError(errno.EINVAL, "it is no file")
        except OSError as error:
            raise OutputError(f"the lock {path} cannot be opened: {error.strerror}") from None
        _open.add(self)

    def try_lock(self, start: int, length: int = 1) -> bool:
        """Lock bytes, unless another process has any of them. Where there are no ranges, all bytes are one."""
        try:
            _lock(self._fd, start, length)
        except OSError as error:
            if error.errno in _BUSY:
                return False
            raise LocksUnavailable(error.strerror) from None
        return True

    def unlock(self, start: int, length: int = 1) -> None:
        """Let others lock these bytes."""
        with suppress(OSError):
            _unlock(self._fd, start, length)

    def other(self, start: int, length: int) -> Range | None:
        """Return bytes of these that another process has locked, None where none are."""
        return _other(self._fd, start, length)

    @property
    def is_current(self) -> bool:
        """False once another process has removed the file: its locks mean nothing any more."""
        try:
            named, this = self.path.stat(follow_symlinks=False), os.fstat(self._fd)
        except OSError:
            return False
        return (named.st_dev, named.st_ino) == (this.st_dev, this.st_ino)

    def write(self, number: int, holder: Holder | None) -> None:
        """Write the record of this process, or clear it."""
        text = b"" if holder is None else json.dumps(asdict(holder)).encode()
        self._write(number * _RECORD_BYTES, text.ljust(_RECORD_BYTES - 8, b"\0") + bytes(8))

    def beat(self, number: int, count: int) -> None:
        """Write a number that shows, as long as it changes, that this process goes on."""
        self._write((number + 1) * _RECORD_BYTES - 8, count.to_bytes(8, "big"))

    def read(self, number: int) -> Holder | None:
        """Return who has written a record, None where nobody has."""
        text = self._read(number * _RECORD_BYTES, _RECORD_BYTES - 8).rstrip(b"\0")
        try:
            holder = Holder(**json.loads(text))
            return holder if isinstance(holder.pid, int) and isinstance(holder.since, int | float) else None
        except (ValueError, TypeError, RecursionError):
            return None

    def last_beat(self, number: int) -> bytes:
        """Return what a process has written last with `beat`."""
        return self._read((number + 1) * _RECORD_BYTES - 8, 8)

    @property
    def records(self) -> int:
        """How many records there may be."""
        with suppress(OSError):
            return -(-os.fstat(self._fd).st_size // _RECORD_BYTES)
        return 0

    def remove(self) -> None:
        """Remove the file: only for who holds a lock that everybody needs before any other."""
        with suppress(OSError):
            if self.is_current:
                self.path.unlink()

    def close(self) -> None:
        """Drop all locks."""
        _open.discard(self)
        with suppress(OSError):
            os.close(self._fd)
        self._fd = -1

    def _write(self, place: int, data: bytes) -> None:
        with suppress(OSError):  # a full disk: what is locked stays locked, only nobody learns by whom
            os.lseek(self._fd, place, os.SEEK_SET)
            os.write(self._fd, data)

    def _read(self, place: int, count: int) -> bytes:
        try:
            os.lseek(self._fd, place, os.SEEK_SET)
            return os.read(self._fd, count)
        except OSError:
            return b""


def _drop_inherited() -> None:
    """Close in a forked child what its parent holds: the locks would outlive the parent as long as the child lives."""
    for file in list(_open):
        file.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited)

if sys.platform == "linux":

    def _lock(fd: int, start: int, length: int) -> None:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0))

    def _unlock(fd: int, start: int, length: int) -> None:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_UNLCK, os.SEEK_SET, start, length, 0))

    def _other(fd: int, start: int, length: int) -> Range | None:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, start, length, 0)
        kind, _, start, length, _ = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_OFD_GETLK, wanted))
        return None if kind == fcntl.F_UNLCK else Range(start, length)

elif sys.platform == "win32":
    _PLACE = 1 << 30  # locked bytes cannot be read there: far behind the records

    def _lock(fd: int, start: int, length: int) -> None:  # noqa: ARG001 - as on Linux
        os.lseek(fd, _PLACE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)

    def _unlock(fd: int, start: int, length: int) -> None:  # noqa: ARG001 - as on Linux
        os.lseek(fd, _PLACE, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_UNLCK, 1)

    def _other(fd: int, start: int, length: int) -> Range | None:  # noqa: ARG001 - as on Linux
        return None

else:

    def _lock(fd: int, start: int, length: int) -> None:  # noqa: ARG001 - as on Linux
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(fd: int, start: int, length: int) -> None:  # noqa: ARG001 - as on Linux
        fcntl.flock(fd, fcntl.LOCK_UN)

    def _other(fd: int, start: int, length: int) -> Range | None:  # noqa: ARG001 - as on Linux
        return None


def network_disk(path: Path) -> str | None:
    """Return the kind of network file system that a file lies on, None for a disk of this machine or one unknown."""
    try:
        device = path.parent.stat().st_dev
        mounts = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    except OSError:
        return None
    here = f"{os.major(device)}:{os.minor(device)}"
    for line in mounts:
        mount, _, kind = line.partition(" - ")
        if mount.split()[2:3] == [here] and (name := kind.split()[0]) in _NETWORK:
            return name
    return None
