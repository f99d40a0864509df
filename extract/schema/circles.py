"""Which nodes of a graph lie on a circle, in time that grows with its edges alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping

__all__ = ["on_circles"]


def on_circles(targets: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return the nodes that reach themselves, of a graph as each node's direct targets."""
    # A node lies on a circle where its strongly connected component has a second node, or it points to itself.
    # Kosaraju: nodes in the order in which a walk leaves them; then, from the last one left, a walk against the edges
    # collects one component after the other.
    sources: dict[str, list[str]] = {name: [] for name in targets}
    for name, direct in targets.items():
        for target in direct:
            sources[target].append(name)
    circling = {name for name, direct in targets.items() if name in direct}
    assigned: set[str] = set()
    for name in reversed(_left_in_order(targets)):
        component = _reached(name, sources, assigned)
        circling.update(component if len(component) > 1 else ())
    return frozenset(circling)


def _left_in_order(targets: Mapping[str, Collection[str]]) -> list[str]:
    """Return the nodes in the order in which a walk in depth leaves them; a stack, as a chain may be long."""
    left: list[str] = []
    seen: set[str] = set()
    for start in targets:
        if start in seen:
            continue
        seen.add(start)
        stack = [(start, iter(targets[start]))]
        while stack:
            name, remaining = stack[-1]
            following = next((target for target in remaining if target not in seen), None)
            if following is None:
                left.append(name)
                stack.pop()
            else:
                seen.add(following)
                stack.append((following, iter(targets[following])))
    return left


def _reached(name: str, edges: Mapping[str, Collection[str]], assigned: set[str]) -> list[str]:
    """Return the nodes that are reached from `name` and not assigned yet, and assign them."""
    reached: list[str] = []
    pending = [name]
    while pending:
        node = pending.pop()
        if node not in assigned:
            assigned.add(node)
            reached.append(node)
            pending += edges[node]
    return reached
