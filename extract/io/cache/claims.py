"""Which process asks for which answer, where several use one cache: locks of bytes of `CACHE.lock`.

Every process locks a slot for as long as it uses the cache. One that sees no other holds the gate as well, and claims
nothing. A second one takes a slot and waits at the gate; the first sees that, claims what it has in flight, and opens
the gate: from then on each locks the place of an answer's key before it asks. The kernel drops all of them with their
process, so that nothing is ever claimed by a dead one.

A stopped process keeps its locks. How long a lock is says whose it is, and each process writes a number that changes;
where it does not, the next place of the same key is free for one of the others.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from extract.errors import OutputError
from extract.io.exclusive import check_hosts, lock_path
from extract.io.locks import HAS_RANGES, Holder, LockFile, LocksUnavailable

__all__ = ["MAX_SILENT", "Claims"]

_log = logging.getLogger("extract.io")

_MAX_PROCESSES = 256
_MARK = _MAX_PROCESSES  # the record behind those of the slots
_GATE = 1 << 40  # far behind the records
_SLOTS = _GATE + _MAX_PROCESSES
_KEYS = 1 << 41
_PLACES = 4  # of each key: as many processes may be stopped while they ask for it
MAX_SILENT = 50  # looks at another process before it counts as stopped


class Claims:
    """The claims of one process on answers of one cache; two in one process are like two processes.

    `alone` is True while no other process uses the cache; `held` are the places of the keys that are claimed.
    Raises OutputError where the cache cannot be shared, LocksUnavailable where files cannot be locked in parts.
    """

    def __init__(self, cache: Path) -> None:
        self.alone: bool = True
        self.held: dict[bytes, int] = {}
        self._cache = cache
        self._at_gate = False
        self._mark = b""
        self._looks = 0
        self._beats: dict[int, tuple[bytes, int]] = {}
        self._stopped: set[int] = set()
        self._reported: set[int] = set()
        if not HAS_RANGES:
            raise LocksUnavailable
        self._began = Holder.this()
        self._file, self._slot = self._opened()

    def enter(self) -> bool:
        """Pass the gate; False where another process holds it. True at once where there is nobody else."""
        if not self._file.try_lock(_GATE, self._slot + 1):
            self._refuse_whole()
            return False
        if not self._file.is_current:  # its last user has removed it since it was opened
            self._file.close()
            self._file, self._slot = self._opened()
            return self.enter()
        self._at_gate = True
        self._mark = self._file.last_beat(_MARK)
        self.alone = not self._sees_others()
        if not self.alone:
            self._open_gate()
        return True

    def enter_uninvited(self) -> None:
        """Go on although the gate stays closed: who holds it is stopped, and claims nothing until it goes on.

        This process may have ended by then: a mark tells that one that the cache has changed.
        """
        self.alone = False
        self._file.beat(_MARK, int.from_bytes(self._file.last_beat(_MARK), "big") + 1)
        if (holder := self._file.other(_GATE, _MAX_PROCESSES)) is not None:
            self._tell_stopped(holder.length - 1)

    def keep_whole(self) -> None:
        """Share the cache with nobody. OutputError where another process uses it."""
        if not self.enter() or not self.alone:
            raise OutputError(f"the cache {self._cache} is used by another run ({self._another()})")
        self._file.write(self._slot, Holder.this(whole=True))

    def look(self, in_flight: Iterable[bytes]) -> None:
        """Look at the others, and let them look at this process; to be called ten times a second.

        The first time that there are others, what is in flight is claimed.
        """
        if self.alone and (self._sees_others() or self._file.last_beat(_MARK) != self._mark):
            self.alone = False
            for key in in_flight:
                self.claim(key)
            self._open_gate()
        if not self.alone:
            self._looks += 1
            self._file.beat(self._slot, self._looks)
            self._stopped = {slot for slot in self._beats if self._is_silent(slot)}

    def claim(self, key: bytes) -> bool:
        """Claim an answer; False where another process asks for it."""
        first = _KEYS + (int.from_bytes(key[:8], "big") >> 14) * _PLACES * _MAX_PROCESSES
        # Mostly nobody else has any of them: one question for all places.
        locked = self._file.other(first, _PLACES * _MAX_PROCESSES)
        if locked is not None:
            if not self._is_stopped(locked.length - 1):
                return False
            return self._claim_beside(key, first)
        return self._lock(key, first)

    def _claim_beside(self, key: bytes, first: int) -> bool:
        """Claim an answer that a stopped process asks for, unless another one does so already."""
        starts = range(first, first + _PLACES * _MAX_PROCESSES, _MAX_PROCESSES)
        locked = {start: self._file.other(start, _MAX_PROCESSES) for start in starts}
        owners = {one.length - 1 for one in locked.values() if one is not None}
        free = next((start for start in starts if locked[start] is None), None)
        if free is None or not all(map(self._is_stopped, owners)) or not self._lock(key, free):
            return False
        for owner in owners:
            self._tell_stopped(owner)
        return True

    def _lock(self, key: bytes, start: int) -> bool:
        if not self._file.try_lock(start, self._slot + 1):
            return False
        self.held[key] = start
        return True

    def release(self, key: bytes) -> None:
        """Give a claim back: the answer is stored, or nobody has it."""
        if (start := self.held.pop(key, None)) is not None:
            self._file.unlock(start, self._slot + 1)

    def close(self) -> None:
        """Drop all claims; the last process leaves no lock file behind."""
        self._file.write(self._slot, None)
        with suppress(OSError, LocksUnavailable):  # then the file stays, and is nobody's
            if (self._at_gate or self._file.try_lock(_GATE, self._slot + 1)) and not self._sees_others():
                self._file.remove()
        self._file.close()

    def _opened(self) -> tuple[LockFile, int]:
        """Return the open lock file, and the number of the slot that is locked in it."""
        file = LockFile(lock_path(self._cache))
        try:
            check_hosts(file, self._cache, "the cache")
            for slot in range(_MAX_PROCESSES):
                if file.try_lock(_SLOTS + slot):
                    file.write(slot, self._began)
                    return file, slot
            raise OutputError(f"the cache {self._cache} is used by {_MAX_PROCESSES} runs: no more may use it at once")
        except BaseException:
            file.close()
            raise

    def _open_gate(self) -> None:
        self._at_gate = False
        self._file.unlock(_GATE, self._slot + 1)

    def _sees_others(self) -> bool:
        return self._file.other(_SLOTS, _MAX_PROCESSES) is not None

    def _is_stopped(self, slot: int) -> bool:
        """True for a process that was not heard of while this one has looked often enough."""
        if slot not in self._beats:
            self._beats[slot] = (self._file.last_beat(slot), self._looks)
        return slot in self._stopped

    def _is_silent(self, slot: int) -> bool:
        beat, (before, since) = self._file.last_beat(slot), self._beats[slot]
        if beat != before:
            self._beats[slot] = (beat, self._looks)
            self._reported.discard(slot)
            return False
        return self._looks - since >= MAX_SILENT

    def _tell_stopped(self, slot: int) -> None:
        if slot in self._reported:
            return
        self._reported.add(slot)
        holder = self._file.read(slot)
        name = "one that has just begun" if holder is None else holder.name
        _log.warning("a run with %s is stopped (%s): this one asks for what that has in flight", self._cache, name)

    def _refuse_whole(self) -> None:
        locked = self._file.other(_GATE, _MAX_PROCESSES)
        holder = None if locked is None else self._file.read(locked.length - 1)
        if holder is not None and holder.whole:
            raise OutputError(f"the cache {self._cache} is used by a run on a cluster ({holder}), and cannot be shared")

    def _another(self) -> Holder | str:
        locked = self._file.other(_SLOTS, _MAX_PROCESSES)
        holder = None if locked is None else self._file.read(locked.start - _SLOTS)
        return holder or "it has just begun"
