"""Do the guide's three blocks about failures catch ours, as the guide says?

What `...` calls fails on purpose: each class of error that the guide names is met once.
"""

import functools
from collections.abc import Iterator
from typing import Any, Final

import pytest

from proxy.client import GatewayClient
from tests.support.guide_blocks import kept
from tests.support.guide_rules import Rules
from tests.support.loop_thread import LoopThread
from tests.support.messages import message, ok, post
from tests.support.opa_server import OpaServer
from tests.support.origin import Script, Visit
from tests.support.ports import refusing_port
from tests.support.scripts import answers, holds, in_turn
from tests.support.sidecar import NEVER_OPENS, Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

pytestmark = pytest.mark.sockets

BLOCKS: Final = kept("sark_blocks.txt")
EXAMPLE: Final = BLOCKS["error_handling_and_recovery"].text
GAVE_UP: Final = "Operation failed after all retries"
FINE: Final = answers(ok(b'{"done": true}', b"Content-Type: application/json"))
BROKEN: Final = answers(message(b"HTTP/1.1 500 Oops", b"Content-Length: 0"))

HURRIED: Final = functools.partial(GatewayClient, retry_config={"initial_delay": 0.01})


async def drops(visit: Visit) -> None:
    """Take the call, and go without a word."""
    await visit.read()
    visit.reset()


@pytest.fixture
def gone(start_origin: StartOrigin) -> Iterator[dict[str, Any]]:
    """A server where nobody listens, though its probes are answered: each call finds it out anew.

    Known to be down, it would be answered for with a `Retry-After`, and the client waits as told.
    """
    with refusing_port() as port:
        healthy = f"{start_origin().url}/health"
        yield {"url": f"http://127.0.0.1:{port}", "circuit": NEVER_OPENS, "health_url": healthy}


def run(block: str, sidecar: Sidecar, invocation: str) -> list[str]:
    rules = Rules(gateway=f"http://127.0.0.1:{sidecar.port}", invocation=invocation)
    return rules.run(block, GatewayClient=HURRIED).said


@pytest.fixture
def circuit_open(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    flaky = start_origin(drops)
    sidecar = start_sidecar(server("weak", flaky.url, circuit={"failures": 1}))
    call = post("/tools/weak.call")
    assert eventually(lambda: b"circuit_open" in sidecar.ask(call).body)
    return sidecar


@pytest.mark.parametrize(
    ("block", "says"),
    [("error_recovery", ["Service temporarily unavailable"]), ("handle_errors", [])],
)
def test_an_open_circuit_is_caught(circuit_open: Sidecar, block: str, says: list[str]) -> None:
    assert run(BLOCKS[block].text, circuit_open, '"weak", "call"') == says


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("error_recovery", "Operation failed after retries"),
        ("handle_errors", "error: Tool invocation failed"),
    ],
)
def test_a_server_that_is_not_there_is_caught(
    start_sidecar: StartSidecar, gone: dict[str, Any], block: str, says: str
) -> None:
    sidecar = start_sidecar(server("gone", **gone))

    assert run(BLOCKS[block].text, sidecar, '"gone", "call"') == [says]


def test_a_call_that_lasts_too_long_is_caught(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    slow = start_origin(holds(loop_thread.gate()))
    sidecar = start_sidecar(server("slow", slow.url))

    said = run(BLOCKS["error_recovery"].text, sidecar, '"slow", "call", timeout=0.2')

    assert said == ["Operation timed out"]


@pytest.mark.parametrize(
    ("block", "says"),
    [
        ("error_recovery", "Access denied: .*not on a Sunday"),
        ("handle_errors", "warning: Access denied"),
    ],
)
def test_a_denial_is_caught(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    loop_thread: LoopThread,
    block: str,
    says: str,
) -> None:
    opa = OpaServer()
    loop_thread.run(opa.start())
    opa.says({"allow": False, "audit_reason": "not on a Sunday"})
    policy = {"policy": {"opa": {"url": opa.url}}}
    sidecar = start_sidecar(server("guarded", start_origin().url), settings=policy)
    rules = Rules(gateway=f"http://127.0.0.1:{sidecar.port}", invocation='"guarded", "call"')

    heard = rules.run(BLOCKS[block].text)

    loop_thread.run(opa.stop())
    assert (heard.heard(says), len(heard.said)) == (True, 1), heard.said


def example_4(start: StartSidecar, url: str, **keys: Any) -> list[str]:
    sidecar = start(server("unstable-server", url, tools=["flaky_operation"], **keys))
    return run(EXAMPLE, sidecar, "")


def test_the_resilient_call_succeeds(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    assert example_4(start_sidecar, start_origin(FINE).url) == ["Success: {'done': True}"]


def test_the_resilient_call_backs_off_until_its_own_circuit_opens(
    start_sidecar: StartSidecar, gone: dict[str, Any]
) -> None:
    said = example_4(start_sidecar, **gone)

    backing_off = ["All retries exhausted - backing off..."] * 3
    assert said == [*backing_off, *["Circuit breaker OPEN - waiting 60s..."] * 2, GAVE_UP]


def test_the_resilient_call_tries_again_after_a_timeout(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    slow = start_origin(in_turn(holds(loop_thread.gate()), FINE))

    said = example_4(start_sidecar, slow.url, timeout="200ms")

    assert said == ["Timeout - trying again...", "Success: {'done': True}"]


@pytest.mark.parametrize("failing", [BROKEN, drops], ids=["fails", "drops-the-connection"])
def test_the_resilient_call_outlasts_a_tool_that_fails_twice(
    start_origin: StartOrigin, start_sidecar: StartSidecar, failing: Script
) -> None:
    flaky = start_origin(in_turn(failing, failing, FINE))

    said = example_4(start_sidecar, flaky.url)

    assert said == [*["All retries exhausted - backing off..."] * 2, "Success: {'done': True}"]
