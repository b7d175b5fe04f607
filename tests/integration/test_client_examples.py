"""Every example in the client's documentation runs, and gives what it says."""

import asyncio
import doctest
import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import aclosing

import pytest

import proxy.client
from tests.support.client_child import COMMAND
from tests.support.client_gateway import Gateway, answer
from tests.support.client_stream import Stream
from tests.support.loop_thread import LoopThread

MODULES = [
    "proxy.client",
    *(f"proxy.client.{each.name}" for each in pkgutil.iter_modules(proxy.client.__path__)),
]
FINDER = doctest.DocTestFinder(exclude_empty=True)
EXAMPLES = [
    example
    for name in MODULES
    for example in FINDER.find(importlib.import_module(name), name)
    if example.examples
]


@pytest.fixture(scope="module")
def url(loop_thread: LoopThread) -> Iterator[str]:
    gateway = Gateway()
    gateway.plays("/api/v1/events", Stream(3))
    denial = {"result": {"allow": False, "audit_reason": "no such query"}}
    gateway.plays("/v1/data/mcp/allow", answer(denial))
    loop_thread.run(gateway.__aenter__())
    yield gateway.url
    loop_thread.run(gateway.__aexit__())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_example_gives_what_it_says(example: doctest.DocTest, url: str) -> None:
    public = {name: getattr(proxy.client, name) for name in proxy.client.__all__}
    known = {"URL": url, "OPA_URL": url, "COMMAND": COMMAND, "asyncio": asyncio}
    example.globs = {**example.globs, **public, **known, "aclosing": aclosing}
    said: list[str] = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)

    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


def test_there_are_examples_of_all_that_matters() -> None:
    names = {example.name.removeprefix("proxy.client.") for example in EXAMPLES}

    assert {
        "client.GatewayClient",
        "error_handler.with_timeout",
        "fields.set_trace",
        "models.Event",
        "opa.OPAClient",
        "proxy.client",
        "sse_parser.EventStreamParser",
    } <= names
