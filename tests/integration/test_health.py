"""Active probes: what they find, what it changes, and that a sick server is not tried."""

import pytest

from tests.support.caller import Answer
from tests.support.messages import message, post
from tests.support.origin import HEALTHY, Origin
from tests.support.ports import refusing_port
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

SICK = message(b"HTTP/1.1 500 Sick", b"Content-Length: 0")
QUICK = {"interval": "50ms", "fast_interval": "50ms", "timeout": "500ms", "unhealthy_after": 2}


def test_server_is_healthy_once_probed(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url, health=QUICK))

    assert eventually(lambda: _status_of(sidecar, "o") == "healthy")


def test_server_that_was_not_probed_yet_is_unknown_and_tried(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    origin.health = b""
    sidecar = start_sidecar(server("o", origin.url, health={"timeout": "30s"}))

    counted = sidecar.get("/health").json()

    found = (_status_of(sidecar, "o"), counted["status"], counted["backends_healthy"])
    assert found == ("unknown", "healthy", 1)
    assert sidecar.ask(post("/tools/o.call")).status == 200


@pytest.mark.parametrize(
    ("health", "status"),
    [
        pytest.param(SICK, "unhealthy", id="other-status"),
        pytest.param(None, "unreachable", id="hangs-up"),
    ],
)
def test_sick_server_is_not_tried_until_it_is_well(
    start_origin: StartOrigin, start_sidecar: StartSidecar, health: bytes | None, status: str
) -> None:
    origin = start_origin()
    origin.health = health
    sidecar = start_sidecar(server("o", origin.url, health=QUICK, passthrough=True))
    assert eventually(lambda: _status_of(sidecar, "o") in {"unhealthy", "unreachable"})

    refused = [sidecar.ask(post(path)).status for path in ("/tools/o.call", "/servers/o/any")]
    untouched = list(origin.calls)
    named = _status_of(sidecar, "o")
    origin.health = HEALTHY

    assert (refused, untouched) == ([503, 503], [])
    assert named == status or health is None
    assert eventually(lambda: sidecar.ask(post("/tools/o.call")).status == 200)


def test_server_where_nobody_listens_is_unreachable(start_sidecar: StartSidecar) -> None:
    with refusing_port() as port:
        sidecar = start_sidecar(server("o", f"http://127.0.0.1:{port}", health=QUICK))

        assert eventually(lambda: _status_of(sidecar, "o") == "unreachable")
        answer = sidecar.ask(post("/tools/o.call"))

    assert (answer.status, answer.json()["code"]) == (503, "no_healthy_endpoint")


def test_healthy_server_stays_so_for_fewer_failures_than_set(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url, health={**QUICK, "unhealthy_after": 1_000}))
    assert eventually(lambda: _status_of(sidecar, "o") == "healthy")

    origin.health = SICK
    failed_from = origin.probes + 2
    assert eventually(lambda: origin.probes > failed_from + 5)

    assert (_status_of(sidecar, "o"), _call(sidecar)) == ("healthy", 200)


def test_sick_server_is_well_after_as_many_successes_as_set(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    origin.health = SICK
    sidecar = start_sidecar(server("o", origin.url, health={**QUICK, "healthy_after": 1_000}))
    assert eventually(lambda: _status_of(sidecar, "o") == "unhealthy")

    origin.health = HEALTHY
    well_from = origin.probes + 2
    assert eventually(lambda: origin.probes > well_from + 5)

    assert (_status_of(sidecar, "o"), _call(sidecar)) == ("unhealthy", 503)


def test_probe_uses_what_the_registry_says(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    health = {**QUICK, "path": "/deep/check", "method": "HEAD"}

    sidecar = start_sidecar(server("o", origin.url, health=health))

    assert eventually(lambda: origin.calls)
    assert (origin.calls[0].method, origin.calls[0].target) == (b"HEAD", b"/deep/check")
    assert sidecar.get("/livez").status == 200


def test_expected_status_is_the_registrys(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    origin.health = message(b"HTTP/1.1 418 Teapot", b"Content-Length: 0")

    sidecar = start_sidecar(server("o", origin.url, health={**QUICK, "expect": [204, 418]}))

    assert eventually(lambda: _status_of(sidecar, "o") == "healthy")


def test_health_url_may_be_elsewhere(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin, monitor = start_origin(), start_origin()
    monitor.health = SICK
    behind = server("o", origin.url, health_url=f"{monitor.url}/health", health=QUICK)

    sidecar = start_sidecar(behind)

    assert eventually(lambda: _status_of(sidecar, "o") == "unhealthy")
    assert origin.probes == 0


def test_slow_probe_of_one_server_delays_no_other(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    stuck = [start_origin() for _ in range(5)]
    for origin in stuck:
        origin.health = b""
    well = start_origin()
    health = {**QUICK, "timeout": "30s"}
    servers = [
        server(f"s{number}", origin.url, health=health) for number, origin in enumerate(stuck)
    ]

    sidecar = start_sidecar(*servers, server("well", well.url, health=QUICK))

    assert eventually(lambda: _status_of(sidecar, "well") == "healthy", within_s=5)
    assert well.probes > 0


def test_health_counts_namespaces(start_origin: StartOrigin, start_sidecar: StartSidecar) -> None:
    well, sick = start_origin(), start_origin()
    sick.health = SICK
    servers = [server("a", well.url, health=QUICK), server("b", sick.url, health=QUICK)]
    sidecar = start_sidecar(*servers, server("c", well.url, health=QUICK))

    assert eventually(lambda: _counts(sidecar.get("/health")) == ("degraded", 3, 2, 1))
    sick.health = HEALTHY
    assert eventually(lambda: _counts(sidecar.get("/health")) == ("healthy", 3, 3, 0))
    _fall_ill(well, sick)
    assert eventually(lambda: _counts(sidecar.get("/health")) == ("unhealthy", 3, 0, 3))


def test_health_of_nothing_is_unknown(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar("servers: []\n")

    assert _counts(sidecar.get("/health")) == ("unknown", 0, 0, 0)


def _fall_ill(*origins: Origin) -> None:
    for origin in origins:
        origin.health = SICK


def _call(sidecar: Sidecar) -> int:
    return sidecar.ask(post("/tools/o.call")).status


def _counts(answer: Answer) -> tuple[object, ...]:
    assert answer.status == 200
    counted = answer.json()
    return (
        counted["status"],
        counted["backends_total"],
        counted["backends_healthy"],
        counted["backends_unhealthy"],
    )


def _status_of(sidecar: Sidecar, namespace: str) -> object:
    tools = sidecar.get("/tools").json()["tools"]
    assert isinstance(tools, list)
    return next(tool["health_status"] for tool in tools if tool["namespace"] == namespace)


def test_server_without_probes_is_asked_nothing_and_called(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    quiet, asked = start_origin(), start_origin()
    sidecar = start_sidecar(
        server("quiet", quiet.url, health={**QUICK, "active": False}),
        server("asked", asked.url, health=QUICK),
    )

    assert eventually(lambda: asked.probes > 3)
    assert sidecar.ask(post("/tools/quiet.call")).status == 200
    assert (_status_of(sidecar, "quiet"), quiet.probes) == ("unknown", 0)
