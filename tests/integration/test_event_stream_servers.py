"""What the event stream tells of servers, of the registry and of the sidecar itself."""

import signal

import pytest

from tests.support.event_reader import USUAL, EventReader, Message
from tests.support.messages import get, message, post
from tests.support.origin import HEALTHY
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar

QUICK = {"interval": "50ms", "fast_interval": "50ms", "timeout": "500ms", "unhealthy_after": 2}


@pytest.fixture
def sidecar(start_origin: StartOrigin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", start_origin().url))


def test_start_is_told_to_who_asks_for_the_past(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, "/events", "Last-Event-ID: of-another-life") as reader:
        told = reader.until_kind("gateway_started").json()

    assert set(told) >= USUAL | {"message"}
    assert str(sidecar.port) in str(told["message"])


def test_new_registry_is_told_server_by_server(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    url = start_origin().url
    sidecar = start_sidecar(server("kept", url), server("changed", url), server("gone", url))
    with EventReader(sidecar.port) as reader:
        sidecar.registry_path.write_text(
            registry(server("kept", url), server("changed", url, timeout=7), server("new", url))
        )
        sidecar.signal(signal.SIGHUP)
        told = _until_all(
            reader,
            {"server_registered", "server_changed", "server_unregistered", "registry_reloaded"},
        )

    servers = {
        kind: (each["server_name"], each["changes"])
        for kind, each in told.items()
        if kind.startswith("server")
    }
    assert servers == {
        "server_registered": ("new", []),
        "server_changed": ("changed", ["timeout"]),
        "server_unregistered": ("gone", []),
    }
    reloaded = told["registry_reloaded"]
    assert set(reloaded) >= USUAL | {"generation", "change_class", "counts", "problems"}
    assert reloaded["status"] == "success"


def test_registry_that_is_refused_is_told(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, "/events?types=registry_rejected") as reader:
        sidecar.registry_path.write_text("servers: [{\n")
        sidecar.signal(signal.SIGHUP)
        told = reader.next().json()

    assert set(told) >= USUAL | {"generation", "problems", "error_code", "error_message"}
    assert (told["status"], told["generation"], bool(told["problems"])) == ("failure", 1, True)


def test_health_is_told_as_it_changes(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url, health=QUICK))
    with EventReader(sidecar.port, "/events?types=server_health&server=o") as reader:
        origin.health = message(b"HTTP/1.1 500 Sick", b"Content-Length: 0")
        sick = reader.until(lambda each: each.json()["status"] == "unhealthy")[-1].json()
        origin.health = HEALTHY
        well = reader.until(lambda each: each.json()["status"] == "healthy")[-1].json()

    assert set(sick) >= USUAL | {"server_name", "endpoint", "previous", "reason"}
    assert (sick["server_name"], well["previous"]) == ("o", "unhealthy")


def test_circuit_is_told_as_it_opens(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin(answers(message(b"HTTP/1.1 503 No", b"Content-Length: 0")))
    sidecar = start_sidecar(server("o", origin.url, circuit={"failures": 1}))
    with EventReader(sidecar.port, "/events?types=circuit_state") as reader:
        sidecar.ask(post("/tools/o.call"))
        told = reader.next().json()

    assert (told["server_name"], told["state"], told["previous"]) == ("o", "open", "closed")
    assert told["retry_after_s"] > 0


def test_refusals_are_folded_into_one_event_a_second(sidecar: Sidecar) -> None:
    refused = get("/health", b"Origin: http://elsewhere.example")
    with EventReader(sidecar.port, "/api/v1/audit/stream") as reader:
        statuses = {sidecar.ask(refused).status for _ in range(20)}
        first, second = (each.json() for each in reader.take(2))

    assert (statuses, first["count"], second["count"]) == ({403}, 1, 19)
    assert (first["event_type"], first["reason"]) == ("authorization_denied", "origin_not_allowed")
    assert set(first) >= USUAL | {"subject", "tool_name", "reason", "error_code", "error_message"}


def _until_all(reader: EventReader, kinds: set[str]) -> dict[str, dict[str, object]]:
    """The first event of each type, once all are there."""
    found: dict[str, dict[str, object]] = {}

    def all_there(told: Message) -> bool:
        found.setdefault(told.event, told.json())
        return kinds <= found.keys()

    reader.until(all_there)
    return {kind: found[kind] for kind in kinds}
