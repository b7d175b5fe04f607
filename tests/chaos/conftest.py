"""Fixtures of the chaos suite: upstreams that can be killed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.chaos_process import ReservedPort, Upstream
from tests.support.chaos_scene import StartUpstreams


@pytest.fixture
def start_upstreams(tmp_path: Path) -> Iterator[StartUpstreams]:
    with contextlib.ExitStack() as stack:

        def start(count: int) -> list[Upstream]:
            ports = [ReservedPort() for _ in range(count)]
            for port in ports:
                stack.callback(port.give_up)
            upstreams = [
                Upstream(tmp_path, name, port.number)
                for name, port in zip("abcdefgh", ports, strict=False)
            ]
            for upstream in upstreams:
                upstream.start()
                stack.callback(upstream.close)
            for upstream in upstreams:
                upstream.comes_up()
            return upstreams

        yield start
