"""Metrics as text, piece by piece: prometheus_client writes each, and we put them together.

Knows the two formats' comments. Knows nothing of what is measured.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

_COMMENTS: Final = re.compile(rb"^# [^\n]*\n", re.MULTILINE)
_END: Final = b"# EOF\n"  # of OpenMetrics


class Encode(Protocol):
    """As `prometheus_client.exposition.choose_encoder` gives them."""

    def __call__(self, registry: CollectorRegistry, /) -> bytes: ...


def written(pieces: Iterable[Metric], encode: Encode) -> Iterator[bytes]:
    """The text of all. What a family is called is said before the first piece of it."""
    name, ends = "", False
    for piece in pieces:
        text = _encoded(piece, encode)
        if text.endswith(_END):
            text, ends = text.removesuffix(_END), True
        if piece.name == name:
            text = _COMMENTS.sub(b"", text)
        name = piece.name
        yield text
    if ends:
        yield _END


def _encoded(piece: Metric, encode: Encode) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_One(piece))
    return encode(registry)


class _One(Collector):
    def __init__(self, piece: Metric) -> None:
        self._piece = piece

    def collect(self) -> Iterator[Metric]:
        yield self._piece
