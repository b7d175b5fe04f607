"""A registry in small pieces: how does it pass between processes without holding up either?

Each frame (its length, then msgpack) is made and read in far less than a callback may take. Knows
nothing of processes, nor of what a registry means.
"""

from collections.abc import Iterable, Iterator
from typing import Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from proxy.artifact import Signed
from proxy.config.document import Finding
from proxy.generations.reading import Candidate
from proxy.registry.load import Loaded, Quarantined, RegistryRejectedError
from proxy.registry.model import Server, Tool

T = TypeVar("T")

_PER_FRAME: Final = 50  # tools or findings
MAX_FRAME_BYTES: Final = 256 * 1024**2


class _Findings(Struct, tag=True):
    findings: tuple[Finding, ...]


class _Rejected(Struct, tag=True):
    """The findings before say why."""


class _SetAside(Struct, tag=True):
    server: Quarantined


class _Tools(Struct, tag=True):
    tools: tuple[Tool, ...]


class _Server(Struct, tag=True):
    """A server without its tools: they came before."""

    server: Server


class _Canonical(Struct, tag=True):
    """A piece of the canonical form."""

    octets: bytes


class _End(Struct, tag=True):
    identity: str
    signed: Signed | None


Frame = _Findings | _Rejected | _SetAside | _Tools | _Server | _Canonical | _End
_DECODER: Final[msgspec.msgpack.Decoder[Frame]] = msgspec.msgpack.Decoder(Frame)
_ENCODER: Final = msgspec.msgpack.Encoder()


class Assembly:
    """Frames put together again, in the order in which they were made."""

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self._servers: list[Server] = []
        self._set_aside: list[Quarantined] = []
        self._tools: list[Tool] = []
        self._canonical: list[bytes] = []

    def add(self, encoded: bytes) -> Candidate | None:
        """One more; the whole with the last one.

        Raises `RegistryRejectedError` when they say so, MsgspecError for what is no frame.
        """
        match _DECODER.decode(encoded):
            case _Findings(found):
                self._findings += found
            case _Rejected():
                raise RegistryRejectedError(self._findings)
            case _SetAside(server):
                self._set_aside.append(server)
            case _Tools(more):
                self._tools += more
            case _Server(server):
                self._servers.append(replace(server, tools=tuple(self._tools)))
                self._tools = []
            case _Canonical(octets):
                self._canonical.append(octets)
            case _End(identity, signed):
                loaded = Loaded(
                    servers=tuple(self._servers),
                    quarantined=tuple(self._set_aside),
                    findings=tuple(self._findings),
                    identity=identity,
                )
                return Candidate(loaded, tuple(self._canonical), signed)
        return None


def rejection(findings: Iterable[Finding]) -> Iterator[bytes]:
    """Frames that say why there is nothing."""
    yield from _encoded(map(_Findings, _chunks(tuple(findings))))
    yield _ENCODER.encode(_Rejected())


def frames_of(candidate: Candidate) -> Iterator[bytes]:
    """Frames of what was read."""
    loaded, canonical, signed = candidate
    yield from _encoded(map(_Findings, _chunks(loaded.findings)))
    yield from _encoded(map(_SetAside, loaded.quarantined))
    for server in loaded.servers:
        yield from _encoded(map(_Tools, _chunks(server.tools)))
        yield _ENCODER.encode(_Server(replace(server, tools=())))
    yield from _encoded(map(_Canonical, canonical))
    yield _ENCODER.encode(_End(loaded.identity, signed))


def _encoded(frames: Iterable[Frame]) -> Iterator[bytes]:
    return map(_ENCODER.encode, frames)


def _chunks(rows: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    return (rows[at : at + _PER_FRAME] for at in range(0, len(rows), _PER_FRAME))
