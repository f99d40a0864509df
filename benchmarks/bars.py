"""What was measured beside its bar, line by line; `missed` are the bars that were not held."""

from __future__ import annotations

__all__ = ["missed", "tell"]

missed: list[str] = []


def tell(what: str, figure: object, bar: str, *, ok: bool) -> None:
    print(f"{'ok  ' if ok else 'MISS'}  {what:<58} {figure!s:>28}   bar: {bar}", flush=True)
    if not ok:
        missed.append(what)
