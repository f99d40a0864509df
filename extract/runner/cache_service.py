"""Whose answers a cache holds: the name of the service in content keys, and a word where they are of another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from extract.documents.files import printable
from extract.errors import ConfigError, ExtractError
from extract.interactions.endpoint import Endpoint, service_of
from extract.interactions.http.origins import check_url
from extract.io.cache.response_cache import ResponseCache
from extract.io.cache.services import StoredAnswers
from extract.runner.service import OFFLINE

__all__ = ["key_service", "notes_on", "notes_on_file", "option_for", "others_of"]

_MAX_NAME = 200  # characters


def key_service(endpoint: Endpoint, named: str | None) -> str:
    """Return the name of the service in content keys: the one `named` for the cache, else that of the endpoint.

    An address is named by its origin. ConfigError for a name under which answers that cost nothing and paid ones would
    pass for each other.
    """
    if named is None:
        return endpoint.service
    if endpoint.service == OFFLINE:
        raise ConfigError("cache_service (--cache-service) is for services: offline answers have a name of their own")
    if not isinstance(named, str) or not named.strip() or not named.isprintable() or len(named) > _MAX_NAME:
        raise ConfigError(f"cache_service (--cache-service) is a short name, such as google, not {named!r}")
    name = named.strip()
    if name.casefold() == OFFLINE:
        raise ConfigError(f"cache_service (--cache-service) {name!r} is the name of answers that the emulator has made")
    return service_of(str(check_url(name, with_key=False))) if "://" in name else name


def notes_on(cache: ResponseCache | None, service: str) -> Iterator[str]:
    """Yield what to say of a cache before a run of this service."""
    if cache is not None and (note := _note_on_others(cache.statistics.services(), service)):
        yield note


def notes_on_file(path: Path, service: str) -> Iterator[str]:
    """Yield the same for a cache that another process is to open; of one that cannot be read, nothing."""
    if path.exists():
        with suppress(ExtractError), ResponseCache(path, read_only=True) as cache:
            yield from notes_on(cache, service)


def others_of(stored: StoredAnswers, service: str) -> dict[str, int]:
    """Return the answers of other services that one could use; those that are offline are of no use to any."""
    return {} if service == OFFLINE else {name: n for name, n in stored.others(service).items() if name != OFFLINE}


def _note_on_others(stored: StoredAnswers, service: str) -> str:
    """Return what to say before a run whose cache holds more answers of others than of its own service, else ""."""
    others, own = others_of(stored, service), stored.of.get(service, 0)
    if sum(others.values()) <= own:
        return ""
    known = f"{own:,}" if own else "no known ones"
    return f"this cache holds {_listed(others)}, and {known} of {printable(service)}: {option_for(others)}"


def _listed(others: dict[str, int]) -> str:
    first, *rest = others
    more = f" and {sum(others.values()) - others[first]:,} of {len(rest):,} more" if rest else ""
    return f"{others[first]:,} answers of {printable(first)}{more}"


def option_for(others: dict[str, int]) -> str:
    """Return the option that lets a run use the answers of the service that has most."""
    return f"--cache-service {printable(next(iter(others)))} uses those here, too (cache_service=)"
