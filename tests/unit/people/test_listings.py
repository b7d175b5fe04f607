import asyncio
from argparse import Namespace
from collections.abc import Awaitable, Callable

import pytest

from proxy.client.listing import Page
from proxy.people.asking import Asking
from proxy.people.gateway import Gateway, Told
from proxy.people.health import health
from proxy.people.listings import servers, tools, usable_of
from proxy.people.output import STDERR, STDOUT, Look, Output
from proxy.people.tables import Sheet

Command = Callable[[Gateway, Output, Namespace], Awaitable[int]]
ODD = {"server_name": 7, "endpoints": "x", "circuit_breaker": [], "tools_count": None}
ODD_TOOL = {"tool_name": None, "description": 3, "missing_credentials": [1], "available": False}


class Odd(Gateway):
    """A gateway whose rows have every field wrong."""

    def __init__(self) -> None:
        super().__init__(Asking(url="http://a"))

    async def rows(self, path: str, key: str, told: Told, server: str | None = None) -> Page:
        _ = (path, told, server)
        return Page([dict(ODD if key == "servers" else ODD_TOOL), {}], 1)

    async def document(self, target: str, what: str) -> object:
        _ = what
        odd = {"status": [], "servers": [ODD, 7, {"circuit": 1, "endpoints": [3]}]}
        return odd if target == "/health" else ODD


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        pytest.param(servers, 3, id="servers"),
        pytest.param(tools, 3, id="tools"),
        pytest.param(health, 6, id="health"),
    ],
)
def test_rows_of_any_shape_are_shown(command: Command, lines: int) -> None:
    written = {STDOUT: b"", STDERR: b""}

    def write(stream: int, octets: bytes) -> None:
        written[stream] += octets

    output = Output(Look(True, True, False, Sheet(80, colour=True)), write)  # noqa: FBT003 - a tuple's fields

    status = asyncio.run(_run(command, output, Namespace(name=None, server=None)))

    assert (status, written[STDOUT].count(b"\n"), written[STDERR]) == (0, lines, b"")


async def _run(command: Command, output: Output, options: Namespace) -> int:
    return await command(Odd(), output, options)


def test_an_endpoint_that_does_not_say_so_is_not_usable() -> None:
    assert usable_of([{"usable": True}, {"usable": "yes"}, {}, 7]) == "1/4"
