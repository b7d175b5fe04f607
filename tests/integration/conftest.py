"""Fixtures of these tests alone."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.redis_server import PROGRAM, RedisServer, StartRedis


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[StartRedis]:
    if PROGRAM is None:
        pytest.skip("redis-server is not installed")
    started: list[RedisServer] = []

    def start(*options: str, keeps: bool = False) -> RedisServer:
        started.append(RedisServer(tmp_path, *options, keeps=keeps))
        started[-1].comes_up()
        return started[-1]

    yield start
    for redis in started:
        redis.close()
