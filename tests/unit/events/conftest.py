"""Hubs whose time stands still."""

import contextlib
from collections.abc import Iterator

import pytest

from tests.support.fake_outlet import StartStation, Station


@pytest.fixture
def start_station() -> Iterator[StartStation]:
    with contextlib.ExitStack() as stack:

        def start(capacity: int = 10_000, queue: int = 1_000) -> Station:
            station = Station(capacity)
            stack.callback(station.close)
            station.hub.bounds.queue = queue
            return station

        yield start


@pytest.fixture
def station(start_station: StartStation) -> Station:
    return start_station()
