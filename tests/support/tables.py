"""Tables of raw bytes: one row, put before every path that the door guards."""

from collections.abc import Callable
from typing import Final

import pytest

from tests.support.sidecar import Sidecar

# A row says `<>` where its method and target go.
HOLE: Final = b"<>"
CODES: Final = {
    400: "bad_request",
    405: "method_not_allowed",
    413: "body_too_large",
    414: "uri_too_long",
    431: "headers_too_large",
    501: "not_implemented",
    505: "http_version",
}
CALLS: Final = {"tools": b"POST /tools/o.call", "servers": b"POST /servers/o/any"}
DOORS: Final = {**CALLS, "control": b"GET /health"}

on_every_path: Final = pytest.mark.parametrize(
    "start", [pytest.param(start, id=words) for words, start in DOORS.items()]
)
on_every_call: Final = pytest.mark.parametrize(
    "start", [pytest.param(start, id=words) for words, start in CALLS.items()]
)


def rows(table: dict[str, bytes]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Parametrize `row` with a table of words to bytes."""
    return pytest.mark.parametrize(
        "row", [pytest.param(octets, id=words) for words, octets in table.items()]
    )


def refusals(sidecar: Sidecar, row: bytes, start: bytes) -> list[tuple[int, object]]:
    """Status and code of every answer until the sidecar closes, which it must."""
    with sidecar.caller() as caller:
        caller.send_as_far_as_it_goes(row.replace(HOLE, start))
        first = caller.answer()
        came: list[tuple[int, object]] = [(first.status, first.json().get("code"))]
        if not first.closes:
            return [*came, (0, "the connection stays open")]
        return came + [(a.status, "one more") for a in caller.answers_until_close()]


def refused_with(status: int) -> list[tuple[int, object]]:
    """One answer, then the end of the connection."""
    return [(status, CODES[status])]
