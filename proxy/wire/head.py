"""Heads as values: the first line and the fields of a request or an answer.

Knows what a head holds. Knows neither how it was read nor where it goes.
"""

from typing import Final

from proxy.wire.fields import without

# What `body_bytes` says when it is not a number of bytes.
CHUNKED: Final = -1
UNTIL_CLOSE: Final = -2

_CONTENT_TYPE: Final = frozenset({b"content-type"})


class RequestHead:
    """One request's head, judged and split; never changed after it was made.

    `lines` are whole field lines (`Name: value`) that concern no proxy and can go on as they came.
    `noted` maps the lower-case names that do concern one to their value; fields of one name are
    joined with `, ` (RFC 9110, 5.3), which makes a repeated single-valued field ill-formed, as it
    should be. `withheld` holds lines that leave only where a server's `forward_headers` says so.
    """

    __slots__ = (
        "authority",
        "body_bytes",
        "keep_alive",
        "lines",
        "method",
        "minor_version",
        "noted",
        "target",
        "withheld",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a value is its parts; keywords cost 0.2 us a call here
        self,
        method: bytes,
        target: bytes,
        minor_version: int,
        lines: list[bytes],
        noted: dict[bytes, bytes],
        withheld: list[tuple[bytes, bytes]],
        body_bytes: int,
        keep_alive: bool,  # noqa: FBT001 - as above
        authority: bytes,
    ) -> None:
        self.method = method
        self.target = target
        self.minor_version = minor_version
        self.lines = lines
        self.noted = noted
        self.withheld = withheld
        self.body_bytes = body_bytes
        self.keep_alive = keep_alive
        self.authority = authority

    def with_json(self, body_bytes: int) -> "RequestHead":
        """The same for so many bytes of JSON, which the caller did not send."""
        lines = without(self.lines, _CONTENT_TYPE)
        lines.append(b"Content-Type: application/json")
        return RequestHead(
            self.method,
            self.target,
            self.minor_version,
            lines,
            self.noted,
            self.withheld,
            body_bytes,
            self.keep_alive,
            self.authority,
        )

    def __repr__(self) -> str:
        return f"<RequestHead {self.method.decode()} {self.target.decode('latin-1')}>"


class ResponseHead:
    """One answer's head, judged and split. The parts are those of `RequestHead`."""

    __slots__ = ("body_bytes", "keep_alive", "lines", "noted", "reason", "status")

    def __init__(  # noqa: PLR0913, PLR0917 - as for RequestHead
        self,
        status: int,
        reason: bytes,
        lines: list[bytes],
        noted: dict[bytes, bytes],
        body_bytes: int,
        keep_alive: bool,  # noqa: FBT001 - as for RequestHead
    ) -> None:
        self.status = status
        self.reason = reason
        self.lines = lines
        self.noted = noted
        self.body_bytes = body_bytes
        self.keep_alive = keep_alive

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status}>"
