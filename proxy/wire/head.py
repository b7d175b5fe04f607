"""Heads as values: the first line and the fields of a request or an answer.

Knows what a head holds. Knows neither how it was read nor where it goes.
"""

from typing import Final

# What `body_bytes` says when it is not a number of bytes.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2


class RequestHead:
    """One request's head, judged and split; its facts are never changed after it was made.

    `target` is path and query, whatever form it was sent in. `lines` are the field lines that
    concern no proxy and go on as they came, each with its CRLF in front. `noted` maps the
    lower-case names of the others to their values (see `fields`).
    """

    __slots__ = (
        "authority",
        "body_bytes",
        "found",
        "keep_alive",
        "lines",
        "method",
        "minor_version",
        "noted",
        "routed",
        "target",
        "written",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value is its parts; keywords cost 0.2 us a call here
        self,
        method: bytes,
        target: bytes,
        minor_version: int,
        lines: bytes,
        noted: dict[bytes, bytes],
        body_bytes: int,
        keep_alive: bool,  # noqa: FBT001 - as above
        authority: bytes,
    ) -> None:
        self.method = method
        self.target = target
        self.minor_version = minor_version
        self.lines = lines
        self.noted = noted
        self.body_bytes = body_bytes
        self.keep_alive = keep_alive
        self.authority = authority
        # What `forwarding` made of it last and for whom, for when the same head comes again.
        self.written: tuple[object, object, bytes, bytes] | None = None
        # Likewise what was found out about it on its way in.
        self.found: object | None = None
        # And what route it takes.
        self.routed: object | None = None

    def __repr__(self) -> str:
        return f"<RequestHead {self.method.decode()} {self.target.decode('latin-1')}>"


class ResponseHead:
    """One answer's head, judged and split. `status_line` is what follows the version."""

    __slots__ = (
        "body_bytes",
        "changed",
        "keep_alive",
        "lines",
        "noted",
        "status",
        "status_line",
        "written",
    )

    def __init__(
        self,
        status: int,
        status_line: bytes,
        lines: bytes,
        noted: dict[bytes, bytes],
        body_bytes: int,
        keep_alive: bool,  # noqa: FBT001 - as for RequestHead
    ) -> None:
        self.status = status
        self.status_line = status_line
        self.lines = lines
        self.noted = noted
        self.body_bytes = body_bytes
        self.keep_alive = keep_alive
        self.written = b""  # as for RequestHead
        # Likewise what a route's changes made of it, and which.
        self.changed: tuple[object, ResponseHead] | None = None

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"
