"""A comparison as the contract's JSON, a row at a time, with no secret in it.

Knows the document. Does not know what is secret, nor who reads it.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from proxy.artifact import canonical
from proxy.generations.comparison import Comparison, Entry, Modified
from proxy.generations.masks import Mask, cut
from proxy.generations.severity import Change, ChangeClass


def pieces(comparison: Comparison) -> Iterator[bytes]:
    """Small pieces of one JSON document."""
    yield b'{"status":%b' % canonical(comparison.status)
    yield b',"change_class":%b' % canonical(comparison.change_class.value)
    compatible, breaking = ChangeClass.COMPATIBLE, ChangeClass.BREAKING
    yield from _list("added", (_one(_row(each, compatible)) for each in comparison.added))
    yield from _list("removed", (_one(_row(each, breaking)) for each in comparison.removed))
    yield from _list("modified", map(_modified, comparison.modified))
    yield from _list("unchanged", (_one(canonical(each)) for each in comparison.unchanged))
    yield b',"total_changes":%d' % comparison.total_changes
    yield b',"recommendation":%b}' % canonical(comparison.recommendation)


def _list(name: str, items: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    yield b',"%b":[' % name.encode()
    for at, item in enumerate(items):
        yield from item if at == 0 else chain((b",",), item)
    yield b"]"


def _one(item: bytes) -> tuple[bytes]:
    return (item,)


def _row(entry: Entry | Modified, change_class: ChangeClass) -> bytes:
    tool = {"tool": entry.tool} if entry.tool else {}
    return canonical({"server": entry.server, **tool, "class": change_class.value})


def _modified(modified: Modified) -> Iterator[bytes]:
    yield _row(modified, modified.change_class)[:-1]
    mask = Mask(modified.sensitive)
    yield from _list("changes", (_one(_change(each, mask)) for each in modified.changes))
    yield b"}"


def _change(change: Change, mask: Mask) -> bytes:
    return canonical(
        {
            "path": cut(change.path),
            "old": mask.shown(change.path, change.old),
            "new": mask.shown(change.path, change.new),
            "class": change.change_class.value,
        }
    )
