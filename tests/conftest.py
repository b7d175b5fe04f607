"""Fixtures that more than one folder uses; all of them lazy."""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.loop_thread import LoopThread
from tests.support.origin import Origin, Script
from tests.support.redis_server import PROGRAM, RedisServer, StartRedis
from tests.support.scripts import echo
from tests.support.sidecar import Server, Sidecar, registry
from tests.support.starters import StartOrigin, StartSidecar

# That a machine is busy is no finding.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

WITH_SOCKETS = {
    "browser",
    "chaos",
    "conformance",
    "dropin",
    "fuzz",
    "guides",
    "hardening",
    "integration",
    "shipping",
    "websocket",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m "not sockets"` leaves out all that starts the real command."""
    for item in items:
        if WITH_SOCKETS & set(item.path.parts):
            item.add_marker(pytest.mark.sockets)


@pytest.fixture(scope="session")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def start_origin(loop_thread: LoopThread) -> Iterator[StartOrigin]:
    with contextlib.ExitStack() as stack:

        def start(script: Script = echo, *, port: int = 0) -> Origin:
            origin = Origin(script)
            loop_thread.run(origin.start(port=port))
            stack.callback(lambda: loop_thread.run(origin.stop()))
            return origin

        yield start


@pytest.fixture
def start_sidecar(tmp_path: Path) -> Iterator[StartSidecar]:
    with contextlib.ExitStack() as stack:

        def start(
            *servers: Server | str,
            settings: Mapping[str, object] | None = None,
            extra: Mapping[str, str] | None = None,
            forked: bool = True,
        ) -> Sidecar:
            text = "".join(each for each in servers if isinstance(each, str))
            text = text or registry(*(each for each in servers if not isinstance(each, str)))
            sidecar = Sidecar(tmp_path, text, settings, extra, forked=forked)
            stack.callback(sidecar.close)
            return sidecar

        yield start


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    with contextlib.ExitStack() as stack:

        def start(*options: str, keeps: bool = False) -> RedisServer:
            redis = RedisServer(tmp_path, *options, keeps=keeps)
            stack.callback(redis.close)
            redis.comes_up()
            return redis

        yield start
