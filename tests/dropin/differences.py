"""Where the two differ, and which of it is explained: each exception with its reason.

An exception sees one difference alone and says whether it is the one that it explains; whatever no
exception explains is a fault.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from tests.dropin.asking import Asked
from tests.dropin.seeing import Fields, Outcome

_MOST_SHOWN: Final = 120


class Difference(NamedTuple):
    """One thing that nginx has one way and the sidecar another."""

    what: str  # upstream, line, sent NAME, body sent, status, got NAME, body got
    theirs: object
    ours: object

    def __str__(self) -> str:
        return f"{self.what}: {_shown(self.theirs)}, not {_shown(self.ours)}"


class Explained(NamedTuple):
    """A difference that is meant, and why."""

    reason: str
    fits: Callable[[Asked, Difference, Outcome], bool]


def differences(theirs: Outcome, ours: Outcome) -> Iterator[Difference]:
    """All of them, of one request."""
    yield from _one("upstream", _upstream(theirs), _upstream(ours))
    if theirs.arrived is not None and ours.arrived is not None:
        yield from _one("line", theirs.arrived.line, ours.arrived.line)
        yield from _fields("sent", theirs.arrived.fields, ours.arrived.fields)
        yield from _one("body sent", theirs.arrived.body, ours.arrived.body)
    yield from _one("status", theirs.status, ours.status)
    yield from _fields("got", theirs.fields, ours.fields)
    yield from _one("body got", theirs.body, ours.body)


def unexplained(
    asked: Asked, theirs: Outcome, ours: Outcome, explained: Iterable[Explained]
) -> list[Difference]:
    """What no exception explains."""
    return [
        each
        for each in differences(theirs, ours)
        if not any(one.fits(asked, each, theirs) for one in explained)
    ]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) < _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)})"


def _one(what: str, theirs: object, ours: object) -> Iterator[Difference]:
    if theirs != ours:
        yield Difference(what, theirs, ours)


def _upstream(outcome: Outcome) -> int | None:
    return None if outcome.arrived is None else outcome.arrived.upstream


def _fields(side: str, theirs: Fields, ours: Fields) -> Iterator[Difference]:
    """By name; the order among those of one name counts, that of different names does not."""
    for name in sorted({name for name, _ in (*theirs, *ours)}):
        yield from _one(f"{side} {name}", _values(theirs, name), _values(ours, name))


def _values(fields: Fields, name: str) -> tuple[str, ...]:
    return tuple(value for key, value in fields if key == name)


def _named(*whats: str) -> Callable[[Asked, Difference, Outcome], bool]:
    return lambda _, found, __: found.what in whats


def _added(*whats: str) -> Callable[[Asked, Difference, Outcome], bool]:
    """The sidecar says it, nginx was not told to."""
    return lambda _, found, __: found.what in whats and found.theirs == ()


def _own_page(_: Asked, found: Difference, theirs: Outcome) -> bool:
    """An answer that nginx made, in HTML, where nobody wrote one."""
    made = theirs.arrived is None and b"<center>nginx" in theirs.body
    head = (
        theirs.arrived is None
        and theirs.body == b""
        and ("content-type", "text/html") in theirs.fields
    )
    return (made or head) and found.what in {
        "body got",
        "got content-type",
        "got content-length",
        "got proxy-status",
        "got cache-control",
    }


def _same_path(_: Asked, found: Difference, __: Outcome) -> bool:
    """Equal once both are read as nginx reads paths."""
    theirs, ours = str(found.theirs), str(found.ours)
    if found.what == "line" and theirs.endswith("HTTP/1.0"):  # nginx's default to upstreams
        theirs = theirs.removesuffix("0") + "1"
    if found.what not in {"line", "got location", "sent x-original", "sent x-original-uri"}:
        return False
    return _read(theirs) == _read(ours)


def _read(text: str) -> bytes:
    path, mark, query = text.replace("? HTTP/1.1", " HTTP/1.1").partition("?")
    pieces: list[bytes] = []
    for piece in unquote_to_bytes(path.encode("latin-1")).replace(b"://", b":").split(b"/"):
        if piece == b"..":
            pieces = pieces[:-1]
        elif piece != b"." and (piece or not pieces):
            pieces.append(piece)
    return b"/".join(pieces) + (mark + query).encode("latin-1")


def _forwarded(asked: Asked, found: Difference, _: Outcome) -> bool:
    """Said by a caller whom nobody trusts."""
    name = found.what.removeprefix("sent ")
    return name in {"x-forwarded-for", "x-forwarded-proto"} and bool(asked.value(name.title()))


def _type_by_ending(asked: Asked, found: Difference, theirs: Outcome) -> bool:
    ended = asked.target.partition("?")[0].endswith((".html", ".png"))
    return ended and theirs.arrived is None and found.what == "got content-type"


def for_success_alone(name: str) -> Explained:
    """Of a header that is added without `always`."""
    return Explained(
        "add_header without `always` is for successful answers alone; a route's is for all",
        lambda _, found, theirs: found[:2] == (f"got {name}", ()) and theirs.status >= 400,
    )


ALWAYS: Final = (
    Explained(
        "the sidecar says by itself who called, by which way, and as part of which trace",
        _added(
            "sent via",
            "sent x-forwarded-for",
            "sent x-forwarded-proto",
            "sent x-forwarded-host",
            "sent x-request-id",
            "sent traceparent",
            "sent x-chora-trace-id",
        ),
    ),
    Explained("what an untrusted caller says of X-Forwarded-* does not go on", _forwarded),
    Explained(
        "Forwarded is untrusted as above",
        lambda _, found, __: found.what == "sent forwarded" and not found.ours,
    ),
    Explained("nginx sees by a path's ending of which type its own text is", _type_by_ending),
    Explained("nginx closes or not; the sidecar keeps connections", _named("sent connection")),
    Explained(
        "the sidecar tells callers the ids of their calls, and that it was there",
        _added("got via", "got x-request-id", "got x-chora-trace-id"),
    ),
    Explained(
        "nginx puts its own Server and Date in their place", _named("got server", "got date")
    ),
    Explained(
        "how a connection goes on is told by each in its own way",
        _named("got connection", "got keep-alive", "got transfer-encoding"),
    ),
    Explained("nginx's own pages are HTML, the sidecar's errors problem+json", _own_page),
    Explained(
        "what is matched is what is sent: slashes, dots and escapes are settled, a lone ?"
        " stays; and HTTP/1.1 is spoken to upstreams",
        _same_path,
    ),
)
BROKEN_BY_A_SPACE: Final = Explained(
    "nginx puts captures into its request line decoded, and so a space that breaks it",
    lambda asked, _, theirs: (
        theirs.arrived is None and re.match(r"/v[12]/orders/[^?]*%20", asked.target) is not None
    ),
)
