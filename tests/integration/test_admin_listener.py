"""What do operators have a listener of their own for? It takes what is theirs off the public one.

Nothing can be called there, and no page of another origin gets in.
"""

from collections.abc import Iterator
from typing import Final

import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    OPS,
    code,
    for_operators,
    operators_ask,
    operators_port,
    shared_scene,
    usual,
    verdict,
)
from tests.support.caller import Caller
from tests.support.event_reader import EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar

Scene = tuple[Origin, Sidecar]
MOVED: Final = ("/", "/metrics", "/registry", "/dashboard/page.js", "/dashboard/page.css")
AROUND: Final = (
    "//metrics",
    "/metrics/",
    "/%6detrics",
    "/livez/../metrics",
    "/./metrics",
    "/metrics?",
    "/metrics?x=/livez",
    "http://a/metrics",
    "http://a//metrics",
    "/dashboard/../metrics",
    "/dashboard/",
    "/dashboard",
    "//",
    "/%64ashboard/page.js",
    "/?x",
    "/registry/",
    "/registry/generations",
    "/%72egistry",
)
ADMIN: Final = {"admin": "127.0.0.1:0"}


@pytest.fixture(scope="module", params=["open", "guarded"])
def scene(
    request: pytest.FixtureRequest,
    loop_thread: LoopThread,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    """With authorization off, and on."""
    settings = usual(**ADMIN) if request.param == "guarded" else ADMIN
    through = {"namespace": "t", "name": "t", "passthrough": True, "tools": [{"name": "call"}]}
    directory = tmp_path_factory.mktemp("operators")
    with shared_scene(loop_thread, directory, settings, through) as made:
        yield made


@pytest.fixture(scope="module")
def guarded_scene(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Scene]:
    with shared_scene(loop_thread, tmp_path_factory.mktemp("guarded"), usual(**ADMIN)) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


@pytest.mark.parametrize("key", [[], [AS_CI], [AS_OPS]], ids=["no-key", "ci", "operator"])
@pytest.mark.parametrize("path", [*MOVED, *AROUND])
def test_what_is_the_operators_is_not_on_the_public_listener(
    sidecar: Sidecar, path: str, key: list[bytes]
) -> None:
    for method in ("GET", "HEAD"):
        line = f"{method} {path} HTTP/1.1".encode()
        answer = sidecar.ask(message(line, b"Host: a", *key))

        assert answer.status in {400, 401, 403, 404}, answer
        assert b"toolproxy_" not in answer.body
        assert b"<html" not in answer.body.lower()


@pytest.mark.parametrize("path", ["/metrics", "/", "/dashboard/page.js", "/health", "/livez"])
def test_it_is_on_the_operators_own(sidecar: Sidecar, path: str) -> None:
    assert operators_ask(sidecar, get(path, AS_OPS)).status == 200


@pytest.mark.parametrize(
    "request_",
    [
        post("/tools/o.call", AS_OPS),
        post("/tools/o.call"),
        post("/servers/t/mcp", AS_OPS),
        get("/servers/t/mcp", AS_OPS),
        get("/servers/t", AS_OPS),
        post("//tools/o.call", AS_OPS),
        post("/tools/o.call/", AS_OPS),
        post("/%74ools/o.call", AS_OPS),
        post("http://localhost/tools/o.call", AS_OPS),
        post("/livez/../tools/o.call", AS_OPS),
        post(
            "/api/v1/invoke",
            AS_OPS,
            b"Content-Type: application/json",
            body=b'{"server":"o","tool":"call","parameters":{}}',
        ),
        message(
            b"GET /servers/t/ws HTTP/1.1",
            b"Host: a",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            AS_OPS,
        ),
        message(b"CONNECT 127.0.0.1:80 HTTP/1.1", b"Host: 127.0.0.1:80", AS_OPS),
    ],
)
def test_nothing_can_be_called_there(sidecar: Sidecar, origin: Origin, request_: bytes) -> None:
    answer = operators_ask(sidecar, request_)

    assert answer.status in {400, 401, 404, 405}, answer
    assert origin.calls == []


def test_calls_and_control_on_one_connection_stay_apart(sidecar: Sidecar, origin: Origin) -> None:
    with Caller(operators_port(sidecar)) as caller:
        caller.send(get("/livez") + for_operators(post("/tools/o.call", AS_OPS)) + get("/livez"))
        told = [caller.answer("GET").status, caller.answer().status, caller.answer("GET").status]

    assert told in ([200, 404, 200], [200, 405, 200])
    assert origin.calls == []


@pytest.mark.parametrize(
    "origin_field",
    [
        b"Origin: http://elsewhere.example",
        b"Origin: null",
        b"Origin: ",
        b"Origin: http://127.0.0.1",
        b"Origin: http://127.0.0.1:1",
        b"Origin: https://127.0.0.1",
        b"Origin: http://localhost.elsewhere.example",
        b"Origin: file://",
    ],
)
@pytest.mark.parametrize("path", ["/", "/metrics", "/events", "/tools", "/health", "/registry"])
def test_page_elsewhere_gets_nothing_from_either(
    sidecar: Sidecar, path: str, origin_field: bytes
) -> None:
    for answer in (
        operators_ask(sidecar, get(path, origin_field, AS_OPS)),
        sidecar.ask(get(path, origin_field, AS_OPS)),
    ):
        assert verdict(answer) == (403, "origin_not_allowed")
        assert not any(name.lower().startswith(b"access-control") for name, _ in answer.headers)


def test_public_page_is_another_origin_for_the_operators(sidecar: Sidecar) -> None:
    public = b"Origin: http://127.0.0.1:%d" % sidecar.port

    answer = operators_ask(sidecar, get("/metrics", public, AS_OPS))

    assert code(answer) == "origin_not_allowed"


def test_name_that_was_rebound_is_not_the_operators(sidecar: Sidecar) -> None:
    """A page of `elsewhere.example` whose name now leads to this machine is its own origin."""
    line = b"GET /metrics HTTP/1.1"

    answer = operators_ask(sidecar, message(line, b"Host: elsewhere.example:9901"))

    assert answer.status in {400, 401, 403, 404, 421}


def test_hosts_that_are_named_hold_for_both_listeners(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    named_hosts = {**ADMIN, "allowed_hosts": ["127.0.0.1"]}
    directory = tmp_path_factory.mktemp("hosts")
    with shared_scene(loop_thread, directory, named_hosts) as (origin, sidecar):
        rebound = message(b"GET /metrics HTTP/1.1", b"Host: elsewhere.example:9901")
        call = message(b"POST /tools/o.call HTTP/1.1", b"Host: elsewhere.example")

        assert operators_ask(sidecar, rebound).status not in {200, 404}
        assert sidecar.ask(call).status not in {200, 404}
        assert origin.calls == []


def test_own_page_is_let_in(sidecar: Sidecar) -> None:
    host = b"127.0.0.1:%d" % operators_port(sidecar)
    line = b"GET /events?format=json HTTP/1.1"

    answer = operators_ask(
        sidecar, message(line, b"Host: " + host, b"Origin: http://" + host, AS_OPS)
    )

    assert answer.status == 200


def test_unfiltered_events_are_told_there(guarded_scene: Scene) -> None:
    _, sidecar = guarded_scene
    with EventReader(operators_port(sidecar), "/events?types=tool_invoked") as reader:
        if reader.head.status == 401:
            pytest.skip("it asks for a key, which is safe, too")
        sidecar.ask(post("/tools/ox.call", AS_OPS))

        assert reader.next().json()["server_name"] == "ox"


def test_bad_key_is_refused_there_or_not_looked_at(guarded_scene: Scene) -> None:
    _, sidecar = guarded_scene

    for key, allowed in (([], {200, 401}), ([AS_NOBODY], {200, 401}), ([AS_CI], {200, 403})):
        assert operators_ask(sidecar, get("/metrics", *key)).status in allowed


def test_limits_of_http_hold_there_too(sidecar: Sidecar) -> None:
    both = (b"Content-Length: 1", b"Transfer-Encoding: chunked")

    for request, status in (
        (message(b"GET /metrics HTTP/1.1"), 400),
        (message(b"GET /metrics HTTP/1.1", b"Host: a", *both), 400),
        (get("/" + "x" * 9000), 414),
        (get("/metrics", b"X: " + b"y" * 33000), 431),
    ):
        assert operators_ask(sidecar, request).status == status


def test_without_it_the_operators_need_a_key(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with shared_scene(loop_thread, tmp_path_factory.mktemp("without"), usual()) as (_, sidecar):
        told = [
            sidecar.ask(get("/metrics", *key)).status
            for key in ([], [AS_NOBODY], [AS_CI], [AS_OPS])
        ]

        assert told == [401, 401, 403, 200]
        assert "operators on" not in sidecar.stderr
        assert OPS not in sidecar.stderr
