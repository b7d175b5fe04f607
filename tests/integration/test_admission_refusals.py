"""What is somebody told who may not? The status, and one sentence: never why, never what is there.

Paths and methods here are chosen by what a router might take for something else.
"""

from collections.abc import Iterator

import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    UNKNOWN,
    bearer,
    code,
    shared_scene,
    usual,
    verdict,
)
from tests.support.caller import Answer
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

Scene = tuple[Origin, Sidecar]
# Of every answer, whoever asks: what cannot tell one question from another.
OF_THE_REQUEST = ("x-request-id", "x-chora-trace-id", "date")
OPEN = ("/livez", "/readyz", "/health")
CLOSED = (
    "/",
    "/tools",
    "/metrics",
    "/registry",
    "/registry/generations",
    "/events",
    "/events?format=json",
    "/events/some-trace/summary",
    "/api/v1/events",
    "/api/v1/audit/stream",
    "/api/v1/servers",
    "/api/v1/servers/o",
    "/api/v1/servers/o/stream",
    "/api/v1/servers/nobody/stream",
    "/api/v1/tools",
    "/capabilities/server",
    "/capabilities/tools",
    "/dashboard/page.js",
    "/nothing/at/all",
    "/servers/o/tools",
    "/servers/nobody/tools",
)
ODD = (
    "//metrics",
    "/metrics/",
    "/%6detrics",
    "/metrics%2f",
    "/metrics?x=/livez",
    "/METRICS",
    "/metrics;/livez",
    "/dashboard/../metrics",
    "/livez/../metrics",
    "/livez/%2e%2e/metrics",
    "/livez//metrics",
    "/livez%00/metrics",
    "/./tools",
    "//tools",
    "/tools/",
    "/tools//",
    "/tools?/livez",
    "/%74ools",
    "/livez/../tools",
    "/livez/../events?format=json",
    "/health/../tools",
    "//events?format=json",
    "/%65vents?format=json",
    "/events/?format=json",
    "/api//v1/events?format=json",
    "/api/v1/%65vents?format=json",
    "/api/v1/../../tools",
    "http://a/metrics",
    "http://a/tools",
    "http://a/events?format=json",
    "http://a//tools",
)
SECRETS_OF_THE_HOUSE = (b"backend_url", b"toolproxy_", b"server_health", b"text/event-stream")


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with shared_scene(loop_thread, tmp_path_factory.mktemp("refusals"), usual()) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


def said(answer: Answer) -> tuple[object, ...]:
    """All of an answer but what differs between any two."""
    fields = [each for each in answer.headers if each[0].decode().lower() not in OF_THE_REQUEST]
    body = answer.json() if answer.body else {}
    told = {key: value for key, value in body.items() if key not in {"trace_id", "request_id"}}
    return answer.status, sorted(fields), told


@pytest.mark.parametrize("fields", [[], [AS_NOBODY]], ids=["no-key", "unknown-key"])
@pytest.mark.parametrize("target", ["/tools/o.call", "/tools", "/events?format=json"])
def test_refusal_has_its_form(sidecar: Sidecar, target: str, fields: list[bytes]) -> None:
    answer = sidecar.ask((get if target != "/tools/o.call" else post)(target, *fields))

    assert verdict(answer) == (401, "unauthenticated")
    assert (answer.value("www-authenticate") or "").startswith("Bearer ")
    detail = str(answer.json()["detail"])
    assert detail
    assert "\n" not in detail
    assert len(detail) < 200
    assert (answer.value("proxy-status") or "").startswith("toolproxy-")


def test_who_is_known_but_may_not_is_forbidden(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(post("/tools/ox.call", AS_CI))

    assert verdict(answer) == (403, "forbidden")
    assert answer.value("www-authenticate") is None
    assert "ox.call" in str(answer.json()["detail"])
    assert origin.calls == []


def test_why_a_credential_is_not_valid_is_in_the_log_alone(sidecar: Sidecar) -> None:
    unknown = sidecar.ask(post("/tools/o.call", AS_NOBODY))
    no_token = sidecar.ask(post("/tools/o.call", bearer("abc.def")))
    garbage = sidecar.ask(post("/tools/o.call", b"X-API-Key: \xff\xfe"))

    assert said(unknown) == said(no_token) == said(garbage)
    assert eventually(lambda: sidecar.said("Refused .*unknown API key"))
    assert not sidecar.said(UNKNOWN)


@pytest.mark.parametrize("fields", [[], [AS_NOBODY]], ids=["no-key", "unknown-key"])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE", "PATCH", "BREW"])
def test_call_of_a_stranger_tells_no_tool_from_another(
    sidecar: Sidecar, origin: Origin, method: str, fields: list[bytes]
) -> None:
    targets = ["/tools/o.call", "/tools/o.nothing", "/tools/nobody.call", "/tools/nodot"]

    answers = [
        sidecar.ask(message(f"{method} {target} HTTP/1.1".encode(), b"Host: a", *fields))
        for target in targets
    ]

    assert len({str(said(answer)) for answer in answers}) == 1, answers
    assert answers[0].status in {401, 405, 501}
    assert origin.calls == []


@pytest.mark.parametrize("fields", [[], [AS_NOBODY]], ids=["no-key", "unknown-key"])
def test_passthrough_of_a_stranger_tells_no_server_from_another(
    sidecar: Sidecar, origin: Origin, fields: list[bytes]
) -> None:
    targets = ["/servers/o/mcp", "/servers/o/tools/call", "/servers/nobody/mcp", "/servers/o"]

    answers = [sidecar.ask(get(target, *fields)) for target in targets]

    assert len({str(said(answer)) for answer in answers}) == 1, answers
    assert verdict(answers[0]) == (401, "unauthenticated")
    assert origin.calls == []


def test_forbidden_tool_is_not_told_from_one_that_is_not(sidecar: Sidecar) -> None:
    answers = [
        sidecar.ask(post(target, AS_CI))
        for target in ("/tools/ox.call", "/tools/ox.none", "/tools/nobody.call", "/tools/p.b.c")
    ]

    assert {verdict(answer) for answer in answers} == {(403, "forbidden")}


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_no_method_of_a_stranger_is_served_anywhere(sidecar: Sidecar, method: str) -> None:
    for target in CLOSED:
        answer = sidecar.ask(message(f"{method} {target} HTTP/1.1".encode(), b"Host: a"))

        allowed = {401} if method in {"GET", "HEAD", "POST"} else {401, 405, 204}
        assert answer.status in allowed, (target, answer)
        assert not any(word in answer.head + answer.body for word in SECRETS_OF_THE_HOUSE)


@pytest.mark.parametrize("fields", [[], [AS_NOBODY]], ids=["no-key", "unknown-key"])
@pytest.mark.parametrize("target", ODD)
def test_odd_path_leads_a_stranger_nowhere(
    sidecar: Sidecar, target: str, fields: list[bytes]
) -> None:
    answer = sidecar.ask(get(target, *fields))

    assert answer.status in {400, 401, 404}, answer
    assert not any(word in answer.body for word in SECRETS_OF_THE_HOUSE)


@pytest.mark.parametrize("target", ODD)
def test_odd_path_shows_no_caller_what_is_the_operators(sidecar: Sidecar, target: str) -> None:
    answer = sidecar.ask(get(target, AS_CI))

    assert b"toolproxy_" not in answer.body
    assert b"gateway_started" not in answer.body


@pytest.mark.parametrize("path", OPEN)
@pytest.mark.parametrize("fields", [[], [AS_NOBODY]], ids=["no-key", "unknown-key"])
def test_probes_stay_open(sidecar: Sidecar, path: str, fields: list[bytes]) -> None:
    answer = sidecar.ask(get(path, *fields))

    assert answer.status == 200


def test_open_health_has_its_four_keys_and_no_more(sidecar: Sidecar) -> None:
    keys = {"status", "backends_total", "backends_healthy", "backends_unhealthy"}

    assert set(sidecar.get("/health").json()) == keys
    assert set(sidecar.ask(get("/health", AS_CI)).json()) == keys
    assert b"127.0.0.1" not in sidecar.get("/readyz").body


@pytest.mark.parametrize("path", ["/metrics", "/registry", "/", "/dashboard/page.js"])
def test_what_is_the_operators_needs_a_key_of_theirs(sidecar: Sidecar, path: str) -> None:
    assert verdict(sidecar.ask(get(path, AS_CI))) == (403, "forbidden")
    assert sidecar.ask(get(path, AS_OPS)).status in {200, 404}


def test_every_refusal_is_counted_by_its_code(sidecar: Sidecar) -> None:
    sidecar.ask(post("/tools/o.call"))
    sidecar.ask(post("/tools/ox.call", AS_CI))

    text = sidecar.ask(get("/metrics", AS_OPS)).body.decode()

    assert 'toolproxy_rejected_total{code="unauthenticated"}' in text
    assert 'toolproxy_rejected_total{code="forbidden"}' in text


@pytest.mark.parametrize("target", ["/tools/o.call", "/servers/o/mcp", "/tools"])
def test_preflight_of_a_stranger_is_not_answered_with_leave(sidecar: Sidecar, target: str) -> None:
    line = f"OPTIONS {target} HTTP/1.1".encode()
    asked = (b"Origin: http://elsewhere.example", b"Access-Control-Request-Method: POST")

    answer = sidecar.ask(message(line, b"Host: a", *asked))

    assert verdict(answer) == (403, "origin_not_allowed")
    assert not any(name.lower().startswith(b"access-control") for name, _ in answer.headers)


def test_origin_is_judged_before_the_credential(sidecar: Sidecar, origin: Origin) -> None:
    elsewhere = b"Origin: http://elsewhere.example"

    answers = [sidecar.ask(post("/tools/o.call", elsewhere, *key)) for key in ([], [AS_CI])]

    assert [code(answer) for answer in answers] == ["origin_not_allowed"] * 2
    assert origin.calls == []
