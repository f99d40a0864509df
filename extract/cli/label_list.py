"""The labels that an option names: parted by commas, or one a line in a file."""

from __future__ import annotations

from pathlib import Path

from extract.errors import ConfigError

__all__ = ["read_labels"]


def read_labels(text: str) -> list[str]:
    """Return the labels in their order, each once. ConfigError for a file that cannot be read."""
    path = Path(text)
    lines = _lines_of(path) if "," not in text and path.is_file() else text.split(",")
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _lines_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
