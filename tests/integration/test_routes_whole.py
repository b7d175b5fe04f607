"""Routes in the running command: matched, sent on, counted, reloaded, and under authorization.

What single routes do is played by hand in `exchange/test_routes.py`.
"""

import signal
from collections.abc import Iterator
from typing import Any, Final

import pytest

from tests.support.admission_scene import AS_CI, AS_NOBODY, AS_OPS, shared_scene, usual, verdict
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, run_command
from tests.support.waiting import eventually

Scene = tuple[Origin, Sidecar]
ROUTES: Final[list[dict[str, Any]]] = [
    {"match": {"exact": "/healthz"}, "respond": {"body": "ok"}},
    {"match": {"host": "old.example"}, "redirect": {"to": "https://new.example$request_uri"}},
    {
        "name": "api",
        "match": {"prefix": "/api/", "methods": ["GET", "POST"]},
        "to": "o",
        "rewrite": "/",
        "request_headers": {"set": {"X-Env": "prod"}},
        "response_headers": {"set": {"Strict-Transport-Security": "max-age=1"}},
    },
    {"match": {"prefix": "/own/"}, "to": "q", "auth": False},
    {"match": {"prefix": "/guarded/"}, "to": "high", "auth": False},
    {"match": {"prefix": "/theirs/"}, "to": "ox"},
]
OTHERS: Final[list[dict[str, Any]]] = [
    {"namespace": "q", "name": "q", "tools": []},
    {
        "namespace": "high",
        "name": "high",
        "sensitivity_level": "high",
        "tools": [{"name": "call"}],
    },
]


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """With keys: `ci` may go to all of `o`, and not to `ox`."""
    directory = tmp_path_factory.mktemp("routes")
    with shared_scene(loop_thread, directory, usual(routes=ROUTES), *OTHERS) as made:
        yield made


@pytest.fixture
def origin(scene: Scene) -> Origin:
    scene[0].calls = []
    return scene[0]


@pytest.fixture
def sidecar(scene: Scene) -> Sidecar:
    return scene[1]


def test_request_goes_where_its_route_leads(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(post("/api/x?q=1", AS_CI, b"Cookie: a=b", body=b"body"))

    (visit,) = origin.calls
    assert (visit.target, bytes(visit.body)) == (b"/x?q=1", b"body")
    assert (visit.value("x-env"), visit.value("cookie")) == ("prod", "a=b")
    assert visit.value("x-api-key") is None
    assert (answer.status, answer.value("strict-transport-security")) == (200, "max-age=1")


def test_key_that_was_spent_on_us_goes_no_further(sidecar: Sidecar, origin: Origin) -> None:
    bearer = AS_CI.replace(b"X-API-Key: ", b"Authorization: Bearer ")

    assert sidecar.ask(get("/api/x", bearer)).status == 200
    assert origin.calls[0].value("authorization") is None


def test_route_without_authorization_is_the_applications_own(
    sidecar: Sidecar, origin: Origin
) -> None:
    assert sidecar.ask(get("/own/x", b"Authorization: Basic x")).status == 200
    assert origin.calls[0].value("authorization") == "Basic x"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/api/x"), 401),
        (get("/api/x", AS_NOBODY), 401),
        (get("/theirs/x", AS_CI), 403),
        (get("/guarded/x"), 403),
        (get("/guarded/x", AS_OPS), 403),
        (get("/api/../x", AS_CI), 400),
    ],
)
def test_who_may_not_go_there_reaches_nobody(
    sidecar: Sidecar, origin: Origin, request_: bytes, status: int
) -> None:
    assert sidecar.ask(request_).status == status
    assert origin.calls == []


def test_answers_of_our_own_ask_nobody_who_they_are(sidecar: Sidecar) -> None:
    moved = sidecar.ask(message(b"GET /a?b HTTP/1.1", b"Host: old.example"))

    assert sidecar.get("/healthz").body == b"ok"
    assert (moved.status, moved.value("location")) == (302, "https://new.example/a?b")


def test_built_in_paths_are_no_routes(sidecar: Sidecar) -> None:
    assert sidecar.get("/livez").status == 200
    assert verdict(sidecar.ask(post("/tools/o.nothing", AS_CI)))[0] == 404


def test_routes_are_counted_by_their_names(sidecar: Sidecar) -> None:
    sidecar.ask(get("/api/x", AS_CI))
    sidecar.get("/healthz")

    counted = sidecar.ask(get("/metrics", AS_OPS)).body

    for label in (b"api", b"/healthz"):
        series = b'http_server_request_duration_seconds_count{method="GET",route="%b"' % label
        assert series in counted
    assert b'server="o"' in counted


def test_reload_changes_routes(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("reload")
    with shared_scene(loop_thread, directory, {}) as (origin, sidecar), sidecar.caller() as caller:
        caller.send(get("/x"))
        assert caller.answer("GET").status == 404

        sidecar.write_settings({"routes": [{"to": "o"}]})
        sidecar.signal(signal.SIGHUP)
        eventually(lambda: sidecar.get("/x").status == 200)

        caller.send(get("/x"))  # on the connection that it was refused on
        assert caller.answer("GET").status == 200
        sidecar.write_settings({"routes": [{"to": "a b"}]})
        sidecar.signal(signal.SIGHUP)
        eventually(lambda: sidecar.said("Settings rejected"))
        assert sidecar.get("/x").status == 200
        assert len(origin.calls) >= 3


def test_check_names_routes_that_lead_nowhere(sidecar: Sidecar) -> None:
    late = {"match": {"prefix": "/api/v2"}, "to": "gone"}
    before = sidecar.settings_path.read_text()
    sidecar.write_settings(usual(routes=[*ROUTES, {"to": "o"}, late]))

    checked = run_command("check", "-c", str(sidecar.settings_path))

    sidecar.settings_path.write_text(before)
    assert checked.returncode == 0, checked.stderr
    assert "warning: routes[7]: can never match: routes[6] (/)" in checked.stderr
    assert "warning: routes[7]: leads to gone" in checked.stderr
