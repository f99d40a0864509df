"""`LabelTree`: labels in a tree, asked about level by level. The leaves are the labels, at any depth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from extract.errors import ConfigError
from extract.extractor.candidates import CANDIDATES_OPENING, NO_LABEL, LabelField, label_line, says_none, without_label
from extract.io.sources import read_table
from extract.schema import OutputSchema

__all__ = ["LabelTree", "TreeLabels"]

_MAX_DEPTH: Final = 20
_NAMED_CHILDREN: Final = 8  # of a branch, shown beside its name, so that one knows what is in it


@dataclass(slots=True)
class _Node:
    name: str
    meaning: str
    depth: int
    children: list[int]


class LabelTree:
    """Labels in a tree, as the schema of an extractor: each level is a request of its own, about the branches there.

    `branches` maps names to branches, which are mappings again or lists of labels. A label stands at any depth, with
    what it means as a text, or None. Labels are unique in the whole tree.

    >>> tree = LabelTree({"card": ["card lost", "card late"], "transfer": {"fees": "what it costs", "delays": ["in"]}})
    >>> tree.labels, tree.depth
    (('card lost', 'card late', 'fees', 'in'), 3)
    """

    labels: tuple[str, ...]
    depth: int

    def __init__(self, branches: Any) -> None:
        self._nodes = [_Node("", "", 0, [])]
        self._grow(0, branches)
        if not self._nodes[0].children:
            raise ConfigError("a tree of labels holds at least one")
        leaves = [node for node in self._nodes if not node.children]
        self.labels = tuple(node.name for node in leaves)
        self.depth = max(node.depth for node in leaves)
        twice = next((name for name, times in Counter(self.labels).items() if times > 1), None)
        if twice is not None:
            raise ConfigError(f"the label {twice!r} stands in the tree twice: say in its name where it belongs")

    @classmethod
    def from_rows(cls, rows: Any, *, label: str = "label", parent: str = "parent") -> LabelTree:
        """Return the tree of a table: each row is a branch or a label, and names the one that it stands under, or null.

        `rows` is what `run` reads. ConfigError for a parent that is no row, and for rows under themselves.

        >>> LabelTree.from_rows([{"label": "card", "parent": None}, {"label": "card lost", "parent": "card"}]).labels
        ('card lost',)
        """
        table = read_table(rows)
        if missing := [name for name in (label, parent) if name not in table.columns]:
            raise ConfigError(f"the tree of labels has no column {missing[0]!r}; it has {table.columns!r}")
        under: dict[Any, list[Any]] = {}
        for name, above in table.select(label, parent).iter_rows():
            under.setdefault(above or None, []).append(name)
        names = set(table[label].to_list())
        if strange := next((above for above in under if above is not None and above not in names), None):
            raise ConfigError(f"the parent {strange!r} is no row of the tree of labels")
        tree = cls(_branches(under, None, 0))
        if len(tree._nodes) <= table.height:
            raise ConfigError("the tree of labels holds rows that stand under themselves, or a name twice")
        return tree

    def _grow(self, place: int, branches: Any) -> None:
        node = self._nodes[place]
        if node.depth >= _MAX_DEPTH:
            raise ConfigError(f"a tree of labels has at most {_MAX_DEPTH} levels")
        pairs = (
            branches.items() if isinstance(branches, Mapping) else [(name, None) for name in _listed(branches, node)]
        )
        for name, below in pairs:
            if not isinstance(name, str) or not name.strip() or name == NO_LABEL:
                raise ConfigError(f"a name in a tree of labels is a text, not blank and not {NO_LABEL!r}: not {name!r}")
            if name in (self._nodes[one].name for one in node.children):
                raise ConfigError(f"the name {name!r} stands twice under {node.name or 'the root'!r}")
            child = len(self._nodes)
            self._nodes.append(_Node(name, below if isinstance(below, str) else "", node.depth + 1, []))
            node.children.append(child)
            if below is not None and not isinstance(below, str):
                self._grow(child, below)

    def __repr__(self) -> str:
        return f"LabelTree({len(self.labels):,} labels, {self.depth} levels)"

    @property
    def mean_depth(self) -> float:
        """The number of requests for a row, averaged over the labels."""
        depths = [node.depth for node in self._nodes if not node.children]
        return sum(depths) / len(depths)


def _branches(under: Mapping[Any, list[Any]], above: Any, depth: int) -> dict[Any, Any] | None:
    if (above is not None and above not in under) or depth > _MAX_DEPTH:
        return None
    return {name: _branches(under, name, depth + 1) for name in under.get(above, [])}


def _listed(branches: Any, node: _Node) -> list[Any]:
    if not isinstance(branches, list | tuple) or not branches:
        where = node.name or "the root"
        raise ConfigError(f"under {where!r} there must be a mapping or a list of labels, not {branches!r}")
    return list(branches)


@dataclass(frozen=True, slots=True)
class TreeLabels:
    """The labels of a tree, of which a record is shown those of one branch. A branch is known by its number, root 0."""

    tree: LabelTree
    field: LabelField

    def ranked(self, _: Mapping[str, Any]) -> tuple[int, ...]:
        """Return nothing: what is shown depends on the answers alone."""
        return ()

    def block(self, _: Sequence[int], number: int) -> str:
        """Return the text that shows what stands under a branch."""
        nodes = self.tree._nodes
        return "\n".join((f"\n\n{CANDIDATES_OPENING}", *(self._line(nodes[child]) for child in nodes[number].children)))

    def _line(self, node: _Node) -> str:
        names = [self.tree._nodes[child].name for child in node.children]
        more = ", ..." if len(names) > _NAMED_CHILDREN else ""
        return label_line(node.name, node.meaning or ", ".join(names[:_NAMED_CHILDREN]) + more)

    def following(self, text: str, _: Sequence[int], number: int) -> int | None:
        """Return the branch that an answer names, None where it names a label or nothing that was shown."""
        try:
            answer = from_json(text)
        except ValueError:
            return None
        name = answer.get(self.field.key) if isinstance(answer, dict) else None
        nodes = self.tree._nodes
        return next((one for one in nodes[number].children if nodes[one].name == name and nodes[one].children), None)

    def longest(self, number: int) -> Iterator[int]:
        """Yield the branches below one on the way that takes most requests, and of equal ones most words."""
        nodes = self.tree._nodes
        while branches := [child for child in nodes[number].children if nodes[child].children]:
            number = max(branches, key=lambda one: (self._height(one), len(self.block((), one))))
            yield number

    def _height(self, number: int) -> int:
        return 1 + max((self._height(child) for child in self.tree._nodes[number].children), default=0)

    def is_none(self, text: str) -> bool:
        """Return whether an answer says that nothing that was shown fits."""
        return says_none(self.field, text)

    def without_label(self, text: str, schema: OutputSchema, _: Sequence[int]) -> str:
        """Return an answer without a label. InvalidAnswer, as the schema of a tree wants one."""
        return without_label(self.field, text, schema, "none of the labels that were shown fits")
