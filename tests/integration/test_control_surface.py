"""What the control endpoints answer, in form and content."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.scripts import echo, holds
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

LISTED = ("name", "namespace", "tool_name", "backend_url", "health_status", "description")


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    tools = [{"name": "zeta", "description": "Last of all"}, "alpha", "b.c"]
    return start_sidecar(server("n", origin.url, tools=tools), server("a", origin.url))


def test_tools_are_listed_sorted_by_name(sidecar: Sidecar, origin: Origin) -> None:
    assert eventually(lambda: b"unknown" not in sidecar.get("/tools").body)

    answer = sidecar.get("/tools")

    tools = answer.json()["tools"]
    assert isinstance(tools, list)
    assert [tool["name"] for tool in tools] == ["a.call", "n.alpha", "n.b.c", "n.zeta"]
    assert {name: tools[-1][name] for name in LISTED} == {
        "name": "n.zeta",
        "namespace": "n",
        "tool_name": "zeta",
        "backend_url": origin.url,
        "health_status": "healthy",
        "description": "Last of all",
    }
    assert (answer.value("content-type") or "").startswith("application/json")


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health"])
def test_probes_of_an_orchestrator_are_answered(sidecar: Sidecar, path: str) -> None:
    assert sidecar.get(path).status == 200


def test_readiness_shows_a_quarantined_server(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("good", origin.url), server("bad", origin.url, timeout="soon"))

    answer = sidecar.get("/readyz")

    assert (answer.status, b"servers[1].timeout" in answer.body) == (200, True)


@pytest.mark.parametrize("path", ["/health", "/tools", "/livez", "/readyz", "/metrics"])
def test_head_is_get_without_the_body(sidecar: Sidecar, path: str) -> None:
    line = f"HEAD {path} HTTP/1.1".encode()
    with sidecar.caller() as caller:
        caller.send(message(line, b"Host: a") + get("/livez"))

        assert (caller.answer("HEAD").status, caller.answer("GET").status) == (200, 200)


@pytest.mark.parametrize("path", ["/health", "/tools", "/livez", "/readyz", "/metrics"])
def test_other_methods_are_not_allowed(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.ask(post(path))

    assert (answer.status, "GET" in (answer.value("allow") or "")) == (405, True)


def test_query_of_a_control_path_changes_nothing(sidecar: Sidecar) -> None:
    assert sidecar.get("/health?verbose=1").status == 200


def test_metrics_count_calls_by_server_tool_and_outcome(sidecar: Sidecar) -> None:
    for path in ("/tools/n.alpha", "/tools/n.alpha", "/tools/a.call", "/tools/n.unknown"):
        sidecar.ask(post(path))

    samples = _samples(sidecar)

    of_alpha = [
        (labels, value)
        for name, labels, value in samples
        if name.endswith("_total") and {"n"} <= set(labels.values()) and _is_alpha(labels)
    ]
    assert 2.0 in [value for _, value in of_alpha], samples


def test_metrics_have_durations_connections_and_generation(sidecar: Sidecar) -> None:
    sidecar.ask(post("/tools/n.alpha"))

    names = {name for name, _, _ in _samples(sidecar)}

    assert any(name.endswith("_seconds_bucket") for name in names), names
    assert any("connection" in name for name in names), names
    assert any("generation" in name for name in names), names
    assert any("reload" in name for name in names), names


def test_metrics_count_open_connections(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url))
    before = _open_connections(sidecar)
    with sidecar.caller() as caller:
        caller.send(post("/tools/o.call"))
        assert eventually(lambda: origin.calls)

        during = _open_connections(sidecar)
        gate.open()
        caller.answer()

    assert during > before


def test_metrics_count_reloads(sidecar: Sidecar, origin: Origin) -> None:
    before = _accepted(sidecar)

    sidecar.registry_path.write_text(registry(server("n", origin.url, tools=["fresh"])))
    assert eventually(lambda: sidecar.ask(post("/tools/n.fresh")).status == 200)

    assert _accepted(sidecar) > before


def test_metrics_cost_no_series_for_unknown_names(sidecar: Sidecar) -> None:
    sidecar.ask(post("/tools/n.alpha"))
    sidecar.ask(post("/tools/nobody.knows"))
    before = len(_samples(sidecar))

    for number in range(50):
        sidecar.ask(post(f"/tools/n.unknown{number}"))
        sidecar.ask(post(f"/tools/unknown{number}.call"))

    assert len(_samples(sidecar)) <= before + 30


def test_address_of_a_unix_socket_is_shown_by_name(
    start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    sidecar = start_sidecar(server("o", f"unix:{tmp_path}/absent.sock"))

    tools = sidecar.get("/tools").json()["tools"]

    assert isinstance(tools, list)
    assert tools[0]["backend_url"] == "http://server-o"


def _is_alpha(labels: dict[str, str]) -> bool:
    return bool({"alpha", "n.alpha"} & set(labels.values()))


def _samples(sidecar: Sidecar) -> list[tuple[str, dict[str, str], float]]:
    text = sidecar.get("/metrics").body.decode()
    families = text_string_to_metric_families(text)
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in families
        for sample in family.samples
    ]


def _open_connections(sidecar: Sidecar) -> float:
    return sum(value for name, _, value in _samples(sidecar) if "connection" in name)


def _accepted(sidecar: Sidecar) -> float:
    """How many registry texts were taken up."""
    samples = [(labels, v) for name, labels, v in _samples(sidecar) if "reload" in name]
    return sum(value for labels, value in samples if "rejected" not in labels.values())
