"""`Variant`: what a variant of an extractor does otherwise, from options of a command or a file that lists them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, Final

from extract.errors import ConfigError
from extract.extractor.extractor import Extractor
from extract.extractor.nearest import Nearest
from extract.extractor.pack import Pack
from extract.extractor.prompts import Example

__all__ = ["AS_IT_IS", "Shown", "Variant", "read_prompt", "read_variants", "variant_grid"]

AS_IT_IS: Final = "as it is"
_EXAMPLES = re.compile(r"(?:(nearest):)?(\d{1,3})")


@dataclass(frozen=True, slots=True)
class Shown:
    """The gold rows that may be shown: `fixed(k)` are the same for all records, `nearest(k)` chosen for each."""

    fixed: Callable[[int], tuple[Example, ...]]
    nearest: Callable[[int], Nearest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What a variant does otherwise than the pipeline; None is as there.

    `examples` is a number of gold rows that all records are shown, 0 for none; `nearest` how many similar ones each
    record is shown. `samples` is how often a row is asked, `pack` how many rows share a request.

    >>> Variant(name="cheaper", model="gemini-3.5-flash-lite", nearest=8).changes
    {'model': 'gemini-3.5-flash-lite', 'nearest': 8}
    """

    name: str
    model: str | None = None
    prompt: str | None = None
    system: str | None = None
    examples: int | None = None
    nearest: int | None = None
    samples: int = 1
    pack: int | None = None

    def __post_init__(self) -> None:
        if self.examples is not None and self.nearest is not None:
            raise ConfigError(f"variant {self.name!r}: examples or nearest, not both")
        for name in ("examples", "nearest", "samples", "pack"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
                raise ConfigError(f"variant {self.name!r}: {name} is a whole number, not {value!r}")
        for name in ("model", "prompt", "system"):
            if not isinstance(getattr(self, name), str | None):
                raise ConfigError(f"variant {self.name!r}: {name} is a text, not {getattr(self, name)!r}")

    @property
    def changes(self) -> dict[str, Any]:
        """What is otherwise, by name."""
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "name"}
        return {name: value for name, value in given.items() if value is not None and (name, value) != ("samples", 1)}

    @property
    def shows_gold(self) -> bool:
        """Whether gold rows are shown as examples."""
        return bool(self.examples or self.nearest)

    def extractor(self, base: Extractor, shown: Shown) -> Extractor:
        """Return the extractor of this variant. ConfigError for one that cannot be."""
        changes: dict[str, Any] = {
            name: value for name, value in self.changes.items() if name in ("model", "prompt", "system")
        }
        if self.nearest:
            changes["examples"] = shown.nearest(self.nearest)
        elif self.examples is not None:
            changes["examples"] = shown.fixed(self.examples)
        try:
            if self.pack is not None:
                changes["pack"] = Pack.of(self.pack)
            return replace(base, **changes)
        except ConfigError as error:
            raise ConfigError(f"variant {self.name!r}: {error}") from None


def variant_grid(
    *,
    models: Sequence[str] = (),
    prompts: Mapping[str, str] | None = None,
    examples: Sequence[str] = (),
    samples: Sequence[int] = (),
    packs: Sequence[int] = (),
) -> list[Variant]:
    """Return a variant for each combination of what is given. ConfigError for examples that are none.

    `prompts` maps names to texts; `examples` are numbers of fixed examples, or `nearest:8`.

    >>> [variant.name for variant in variant_grid(models=["a", "b"], examples=["nearest:8"])]
    ['model a, nearest 8', 'model b, nearest 8']
    """
    axes = [
        [("model", name, {"model": name}) for name in models],
        [("prompt", name, {"prompt": text}) for name, text in (prompts or {}).items()],
        [_examples(text) for text in examples],
        [("samples", str(number), {"samples": number}) for number in samples],
        [("pack", str(number), {"pack": number}) for number in packs],
    ]
    combined = product(*(axis for axis in axes if axis))
    return [_named(parts) for parts in combined if parts]


def _named(parts: Iterable[tuple[str, str, dict[str, Any]]]) -> Variant:
    parts = list(parts)
    changes = {name: value for _, _, change in parts for name, value in change.items()}
    return Variant(name=", ".join(f"{kind} {value}" for kind, value, _ in parts), **changes)


def _examples(text: str) -> tuple[str, str, dict[str, Any]]:
    match = _EXAMPLES.fullmatch(text.strip())
    if match is None:
        raise ConfigError(f"--examples {text!r}: write a number of fixed examples, or nearest:8")
    kind = match[1] or "examples"
    return kind, match[2], {kind: int(match[2])}


def read_variants(path: Path) -> list[Variant]:
    """Return the variants that a TOML file lists as `[[variant]]`, each with a name and what it does otherwise.

    `prompt_file` names a file with the prompt, from the folder of the list. ConfigError for what is no variant.
    """
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as a list of variants: {error}") from None
    rows = listed.get("variant")
    if not isinstance(rows, list) or not rows or set(listed) != {"variant"}:
        raise ConfigError(f"{path} lists no variants: each begins with [[variant]] and has a name")
    return [_listed(row, path) for row in rows]


def _listed(row: Any, path: Path) -> Variant:
    known = {one.name for one in fields(Variant)} | {"prompt_file"}
    if not isinstance(row, dict) or not isinstance(row.get("name"), str) or not row["name"].strip():
        raise ConfigError(f'{path}: a variant has a name, such as name = "shorter"')
    if unknown := sorted(row.keys() - known):
        raise ConfigError(f"{path}: variant {row['name']!r} has {unknown!r}; known are {sorted(known)!r}")
    given = dict(row)
    if (prompt := given.pop("prompt_file", None)) is not None:
        given["prompt"] = read_prompt(path.parent / str(prompt))
    return Variant(**given)


def read_prompt(path: Path) -> str:
    """Return the prompt in a file, without the line break at its end."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the prompt {path} cannot be read: {error}") from None
