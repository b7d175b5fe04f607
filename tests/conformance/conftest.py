"""One sidecar and one scripted upstream for all tables: the cases leave no state behind."""

from collections.abc import Iterator

import pytest

from tests.support.loop_thread import LoopThread
from tests.support.origin import Origin
from tests.support.ports import refusing_port
from tests.support.scripts import echo
from tests.support.sidecar import Server, Sidecar, registry, server

# What one case's upstream does wrong must not open the circuit for the next.
SETTINGS = {
    "secrets": {"env": ["SIDECAR_TEST_*"]},
    "defaults": {"circuit": {"failures": 1_000_000}},
}
ENVIRONMENT = {"SIDECAR_TEST_TOKEN": "from-the-environment", "SIDECAR_TEST_KEY": "set"}


def servers(url: str, dead_url: str) -> list[Server]:
    tools = [
        "call",
        "dotted.name",
        {"name": "again", "idempotent": True},
        {"name": "own", "method": "GET", "path": "/things/own"},
        {"name": "quick", "timeout": "300ms"},
    ]
    token = {"authorization": "Bearer ${SIDECAR_TEST_TOKEN}"}
    return [
        server("o", url, tools=tools, passthrough=True),
        server("closed", url),
        server("part", url, passthrough=["/mcp"]),
        server("based", f"{url}/base/v1", passthrough=True),
        server("small", url, max_body="1KiB"),
        server("forwarding", url, forward_headers=["authorization", "cookie", "x-api-key"]),
        server("injecting", url, inject_headers=token),
        server("hosted", url, preserve_host=True),
        server(
            "granted", url, upstream_dependencies={"credentials_required": ["SIDECAR_TEST_KEY"]}
        ),
        server("dead", dead_url, health_url=f"{url}/health"),
        server(
            "poor", url, upstream_dependencies={"credentials_required": ["NOT_SET", "NOR_THIS"]}
        ),
    ]


@pytest.fixture(scope="session")
def shared_origin(loop_thread: LoopThread) -> Iterator[Origin]:
    origin = Origin(echo)
    loop_thread.run(origin.start())
    yield origin
    loop_thread.run(origin.stop())


@pytest.fixture(scope="session")
def shared_sidecar(
    shared_origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("shared-sidecar")
    with refusing_port() as dead_port:
        text = registry(*servers(shared_origin.url, f"http://127.0.0.1:{dead_port}"))
        sidecar = Sidecar(directory, text, SETTINGS, ENVIRONMENT)
        yield sidecar
        sidecar.close()


@pytest.fixture
def origin(shared_origin: Origin) -> Origin:
    """The shared upstream, which echoes until a test gives it another script."""
    shared_origin.forget(echo)
    return shared_origin


@pytest.fixture
def sidecar(shared_sidecar: Sidecar, origin: Origin) -> Iterator[Sidecar]:
    """The shared sidecar, with `origin` behind every namespace."""
    assert origin.calls == []
    yield shared_sidecar
    shared_sidecar.assert_no_traceback()
