"""Facts about the witness of clusters: beside others that carry calls, the room is a part."""

from proxy.policy.limits import Gate
from proxy.registry.live import LiveRegistry
from proxy.registry.load import load
from proxy.registry.witness import Room
from tests.support.offices import new_registry

SERVERS = """servers:
- namespace: o
  name: o
  port: 1
  limits: {max_connections: 4, max_pending: 6, max_requests: 8}
  tools: [{name: t, upstream_dependencies: {concurrency_safe: false}}]
- {namespace: one, name: o, port: 1, upstream_dependencies: {concurrency_safe: false}, tools: []}
"""


class Halves:
    """Half of everything; `asked` is whose room it was."""

    def __init__(self) -> None:
        self.asked: dict[str, Room] = {}

    def fit(self, gate: Gate, name: str, room: Room) -> None:
        self.asked[name] = room
        gate.configure(*(each // 2 for each in room))


def taken(registry: LiveRegistry) -> Gate:
    registry.take_first(load(SERVERS.encode(), "registry.yaml", registry.rules, {}))
    return registry.current.servers[b"o"].cluster.gate


def test_alone_the_room_is_the_servers() -> None:
    gate = taken(new_registry())

    assert (gate.most_busy, gate.most_pending, gate.most_requests) == (4, 6, 8)


def test_with_others_it_is_what_they_leave() -> None:
    registry = new_registry()
    registry.parts = halves = Halves()

    gate = taken(registry)

    assert (gate.most_busy, gate.most_pending, gate.most_requests) == (2, 3, 4)
    assert {name: room[0] for name, room in halves.asked.items()} == {"o": 4, "o.t": 1, "one": 1}
