"""What the store writes down besides registries: which one was activated when, and why.

Knows the form of each record and what its fields may be. Does not know files.

What is read is held against the grammar, as anyone's input. Keys that are not known are passed
over, so that a sidecar can go back to the release before; in what is signed they are refused.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from proxy.artifact import LARGEST_VERSION, ArtifactError, Floor, Signed, signed_of

# One half of a profile, as envelopes have it; without "." and "..", so it may be a file's name.
NAME: Final = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}"
MOST_PROFILES: Final = 1_000

Generation = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
# UTC, RFC 3339.
_At = Annotated[str, Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z\Z")]
_Against = Annotated[str, Meta(pattern=r"\A([0-9a-f]{64})?\Z")]
_Profile = Annotated[str, Meta(pattern=rf"\A{NAME}(/{NAME})?\Z")]
_Count = Annotated[int, Meta(ge=0)]
_Version = Annotated[int, Meta(ge=1, le=LARGEST_VERSION)]
_Words = Annotated[str, Meta(max_length=4_096)]
_Word = Annotated[str, Meta(max_length=64)]

Reason = Literal["source", "rollback", "accept", "start"]
State = Literal["active", "held", "rejected", "pinned"]


class Activation(Struct, frozen=True):
    """A generation that came into force: when (RFC 3339, UTC), why, and from where."""

    at: _At
    generation: Generation
    reason: Reason
    change_class: _Word | None
    source: _Words
    signed: Signed | None
    servers: _Count
    tools: _Count

    def row(self) -> dict[str, object]:
        """As the history shows it."""
        signed = self.signed
        return {
            "at": self.at,
            "generation": self.generation,
            "reason": self.reason,
            "change_class": self.change_class,
            "source": self.source,
            "version": signed and signed.envelope.version,
            "signed_by": signed and signed.envelope.key_id,
            "servers": self.servers,
            "tools": self.tools,
        }


class Active(Struct, frozen=True):
    """What is in force; a pinned one stays until something else than `pinned_against` arrives."""

    activation: Activation
    pinned_against: _Against = ""


class Latest(Struct, frozen=True):
    """What the source had last, and what became of it."""

    generation: Generation
    at: _At
    signed: Signed | None
    state: State


class Published(Struct, frozen=True):
    """What lies ready for a client and profile."""

    generation: Generation
    at: _At
    signed: Signed | None


class Mark(Struct, frozen=True):
    """A version floor, as it is written down."""

    version: _Version
    registry_sha256: Generation


class Floors(Struct, frozen=True):
    """The floor of each profile that ever had one."""

    profiles: Annotated[dict[_Profile, Mark], Meta(max_length=MOST_PROFILES)]

    @classmethod
    def of(cls, floors: dict[str, Floor]) -> "Floors":
        return cls({profile: Mark(*floor) for profile, floor in floors.items()})

    def floors(self) -> dict[str, Floor]:
        return {
            profile: Floor(mark.version, mark.registry_sha256)
            for profile, mark in self.profiles.items()
        }


R = TypeVar("R", Activation, Active, Latest, Published, Floors)


def written(record: R) -> bytes:
    """A line of JSON; ValueError for what could not be read again."""
    try:
        octets = msgspec.json.encode(_document(record))
    except UnicodeEncodeError:
        raise ValueError("it holds what is no Unicode text") from None
    read_record(octets, type(record))
    return octets + b"\n"


def read_record(octets: bytes, kind: type[R]) -> R:
    """The record; raises ValueError."""
    try:
        return msgspec.convert(_revived(msgspec.json.decode(octets)), kind)
    except (msgspec.MsgspecError, ArtifactError, RecursionError) as error:
        raise ValueError(str(error)) from None


def _document(value: object) -> object:
    """With names for the fields of what is signed, for people who look into the file."""
    match value:
        case Struct():
            fields = msgspec.structs.asdict(value).items()
            return {name: _document(field) for name, field in fields}
        case Signed():
            return value.document()
        case _:
            return value


def _revived(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {
        name: _signed(field) if name == "signed" else _revived(field)
        for name, field in value.items()
    }


def _signed(value: object) -> Signed | None:
    match value:
        case None:
            return None
        case {"envelope": envelope, "signature": signature, **more} if not more:
            return signed_of(envelope, signature)
        case _:
            raise ValueError("what is signed holds {envelope, signature} and nothing else")
