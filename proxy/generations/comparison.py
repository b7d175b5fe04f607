"""Comparison: what does a candidate registry take away, add and change of the one that runs?

Knows two tables. Does not know which change breaks somebody, who asks, or what is done about it.
"""

from collections.abc import Generator, Mapping
from typing import Final, NamedTuple

from proxy.generations.definitions import Found, are_alike, server_changes, tool_changes
from proxy.generations.severity import Change, ChangeClass, worst
from proxy.registry.model import Server, Tool

Table = Mapping[str, Server]  # by namespace
Steps = Generator[None, None, None]

UP_TO_DATE: Final = "up-to-date"
OUTDATED: Final = "outdated"
DIVERGED: Final = "diverged"
UNKNOWN: Final = "unknown"  # for whoever has nothing to compare


class Entry(NamedTuple):
    """What only one of the two has: a server with its tools, or a tool of a server of both."""

    server: str
    tool: str  # empty for the server
    definition: Server | Tool


class Modified(NamedTuple):
    """What both have, and what of it differs."""

    server: str
    tool: str  # empty for what the server says of itself
    changes: tuple[Change, ...]
    sensitive: tuple[str, ...] = ()  # parameters whose values are nobody's business, old and new

    @property
    def change_class(self) -> ChangeClass:
        return worst(change.change_class for change in self.changes)


class Comparison(NamedTuple):
    """What differs; servers of which nothing does are `unchanged`."""

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    modified: tuple[Modified, ...]
    unchanged: tuple[str, ...]
    change_class: ChangeClass
    status: str
    total_changes: int
    recommendation: str


def compare(
    running: Table, candidate: Table, *, same_identity: bool = False
) -> Generator[None, None, Comparison]:
    """Compare in short steps, so that whoever drives it can do something else in between.

    With the same identity both are the same document, and nothing is looked at.
    """
    if same_identity:
        return _identical(candidate)
    found = _Found()
    for namespace, server in running.items():
        if namespace not in candidate:
            found.removed.append(Entry(namespace, "", server))
        yield
    for namespace, server in candidate.items():
        yield from found.server(namespace, running.get(namespace), server)
        yield
    return found.comparison()


def _identical(table: Table) -> Comparison:
    return Comparison(
        added=(),
        removed=(),
        modified=(),
        unchanged=tuple(table),
        change_class=ChangeClass.COSMETIC,
        status=UP_TO_DATE,
        total_changes=0,
        recommendation="Nothing to do: it is the registry that runs.",
    )


class _Found:
    """What was found so far."""

    def __init__(self) -> None:
        self.removed: list[Entry] = []
        self._added: list[Entry] = []
        self._modified: list[Modified] = []
        self._unchanged: list[str] = []
        self._changes = 0
        self._breaking = 0

    def server(self, namespace: str, old: Server | None, new: Server) -> Steps:
        if old is None:
            self._added.append(Entry(namespace, "", new))
            return
        before = self._found()
        if old is not new:
            modified = Modified(namespace, "", ())
            yield from self._compared(modified, server_changes(old, new))
            yield from self._tools(namespace, old, new)
        if self._found() == before:
            self._unchanged.append(namespace)

    def comparison(self) -> Comparison:
        breaking = self._breaking + len(self.removed)
        status = self._status()
        return Comparison(
            added=tuple(self._added),
            removed=tuple(self.removed),
            modified=tuple(self._modified),
            unchanged=tuple(self._unchanged),
            change_class=ChangeClass.BREAKING if breaking else ChangeClass.COMPATIBLE,
            status=status,
            total_changes=self._found(),
            recommendation=_recommendation(status, breaking),
        )

    def _found(self) -> int:
        return self._changes + len(self._added) + len(self.removed)

    def _tools(self, namespace: str, old: Server, new: Server) -> Steps:
        before: dict[str, Tool] = {}
        yield from _by_name(old, before)
        now: dict[str, Tool] = {}
        yield from _by_name(new, now)
        for name, tool in before.items():
            if name not in now:
                self.removed.append(Entry(namespace, name, tool))
            yield
        for name, tool in now.items():
            known = before.get(name)
            if known is None:
                self._added.append(Entry(namespace, name, tool))
            elif not are_alike(known, tool):
                sensitive = known.sensitive_params + tool.sensitive_params
                modified = Modified(namespace, name, (), sensitive)
                yield from self._compared(modified, tool_changes(known, tool))
            yield

    def _compared(self, modified: Modified, changes: Found) -> Steps:
        found = []
        for change in changes:
            if change is not None:
                found.append(change)
                self._breaking += change.change_class is ChangeClass.BREAKING
            yield
        if found:
            self._modified.append(modified._replace(changes=tuple(found)))
            self._changes += len(found)

    def _status(self) -> str:
        if any(not entry.tool for entry in self.removed):
            return DIVERGED
        return OUTDATED if self._found() else UP_TO_DATE


def _by_name(server: Server, names: dict[str, Tool]) -> Steps:
    for tool in server.tools:
        names[tool.name] = tool
        yield


def _recommendation(status: str, breaking: int) -> str:
    if status == UP_TO_DATE:
        return "Safe to apply: nothing differs in what it means."
    if status == DIVERGED:
        return (
            "Look before you apply it: servers that run now are missing from it, and their calls"
            " would fail."
        )
    if breaking:
        changes = "1 change" if breaking == 1 else f"{breaking} changes"
        return f"Look before you apply it: {changes} can break callers; tell them first."
    return "Safe to apply: nothing that callers rely on is taken away."
