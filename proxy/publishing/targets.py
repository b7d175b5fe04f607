"""Targets: where a registry is published to, what lies there now, and how it is replaced.

A target replaces what was looked at and nothing else: who published meanwhile is not overwritten.
A file, HTTP, and a Redis key are one module each.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from proxy.artifact import Signed
from proxy.publishing.signing import artifact_text, sig_text

Told = Callable[[int, int], None]  # how many octets have gone, of how many


class There(NamedTuple):
    """What lies at a target."""

    text: bytes
    signature: bytes | None = None  # what lies beside it; an artifact has its own
    mark: str = ""  # by which the target knows this text from another one


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is to lie there."""

    text: bytes  # as people wrote it
    canonical: bytes
    signed: Signed | None

    @property
    def signature(self) -> bytes | None:
        """What lies beside the text."""
        return None if self.signed is None else sig_text(self.signed)

    @property
    def artifact(self) -> bytes:
        """Registry and signature in one document."""
        if self.signed is None:
            return b'{"payload": ' + self.canonical + b"}\n"
        return artifact_text(self.canonical, self.signed)


class Target(Protocol):
    """One place to publish to. Everything raises `RefusedError` where it cannot be done."""

    name: str  # for people, without secrets
    profile: str  # what is published there is for this deployment, unless somebody says otherwise
    keeps_text: bool  # does it hold the text as people wrote it?

    def look(self) -> There | None:
        """What lies there; None for nothing."""

    def put(self, parcel: Parcel, before: There | None, told: Told) -> None:
        """Replace `before`, whole or not at all."""


def overtaken(name: str) -> str:
    """What to say when it is no longer what was looked at."""
    return f"{name} was changed by somebody else meanwhile, and is not overwritten: publish again"
