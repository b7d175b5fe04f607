"""When is a key no longer one? With the reload that takes it away, wherever it was in use.

And a file that cannot be used takes nothing away, and gives nothing to anybody.
"""

import signal
from pathlib import Path
from typing import Final

import pytest

from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    CI,
    OPS,
    UNKNOWN,
    guarded,
    named,
    verdict,
    x_api_key,
)
from tests.support.event_reader import EventReader
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, post
from tests.support.origin import Origin
from tests.support.scripts import echo, holds
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL = "/tools/o.call"
NEW = "new-Kd93mPz6vRwBq1"
AS_NEW = x_api_key(NEW)


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


@pytest.fixture
def sidecar(origin: Origin, start_sidecar: StartSidecar) -> Sidecar:
    return start_sidecar(server("o", origin.url), settings=with_ci(CI))


def with_ci(secret: str, **more: object) -> dict[str, object]:
    ops = named("ops", OPS, admin=True)
    return guarded(named("ci", secret, allow=["o.*"]), ops, **more)


def call(sidecar: Sidecar, key: bytes) -> int:
    return sidecar.ask(post(CALL, key)).status


def reload(sidecar: Sidecar, settings: dict[str, object]) -> None:
    sidecar.write_settings(settings)
    sidecar.signal(signal.SIGHUP)


def test_rotated_key_lets_in_and_the_old_one_no_more(sidecar: Sidecar) -> None:
    reload(sidecar, with_ci(NEW))

    assert eventually(lambda: call(sidecar, AS_NEW) == 200)
    assert call(sidecar, AS_CI) == 401


def test_key_that_is_gone_is_refused_on_a_connection_that_is_open(sidecar: Sidecar) -> None:
    with sidecar.caller() as caller:
        caller.send(post(CALL, AS_CI))
        before = caller.answer().status
        reload(sidecar, with_ci(NEW))
        assert eventually(lambda: call(sidecar, AS_NEW) == 200)
        caller.send(post(CALL, AS_CI) + get("/tools", AS_CI))
        after = [caller.answer().status, caller.answer("GET").status]

    assert (before, after) == (200, [401, 401])


@pytest.mark.parametrize(
    "target", ["/events", "/api/v1/events", "/api/v1/audit/stream", "/api/v1/servers/o/stream"]
)
def test_stream_of_a_key_that_is_gone_ends(sidecar: Sidecar, target: str) -> None:
    with EventReader(sidecar.port, target, AS_CI.decode()) as reader:
        assert reader.head.status == 200
        reload(sidecar, with_ci(NEW))
        assert eventually(lambda: call(sidecar, AS_NEW) == 200)
        call(sidecar, AS_NEW)

        reader.rest()

        assert reader.ended


def test_stream_of_a_key_that_stays_loses_nothing(sidecar: Sidecar) -> None:
    """It may end with the reload, as others do; whoever comes back goes on where it was."""
    call(sidecar, AS_CI)
    target = "/events?types=tool_invoked"
    with EventReader(sidecar.port, target, AS_OPS.decode(), "Last-Event-ID: x-0") as reader:
        last = reader.until_kind("tool_invoked").id
        reload(sidecar, with_ci(NEW))
        assert eventually(lambda: call(sidecar, AS_NEW) == 200)

    back = f"Last-Event-ID: {last}"
    with EventReader(sidecar.port, target, AS_OPS.decode(), back) as reader:
        statuses = [reader.next().json().get("http_status")]

    assert statuses == [200]


def test_reload_that_changes_nothing_ends_no_stream(sidecar: Sidecar) -> None:
    with EventReader(sidecar.port, "/events", AS_OPS.decode()) as reader:
        sidecar.signal(signal.SIGHUP)
        reader.until_kind("registry_reloaded")
        call(sidecar, AS_CI)

        assert reader.until_kind("tool_invoked").json()["server_name"] == "o"


def test_stream_of_a_key_that_may_less_shows_less(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    url = start_origin().url
    both = guarded(named("ci", CI, allow=["o.*", "p.*"]), named("ops", OPS, admin=True))
    one = guarded(named("ci", CI, allow=["o.*"]), named("ops", OPS, admin=True))
    sidecar = start_sidecar(server("o", url), server("p", url), settings=both)
    with EventReader(sidecar.port, "/events?types=tool_invoked", AS_CI.decode()) as reader:
        reload(sidecar, one)
        assert eventually(lambda: sidecar.ask(post("/tools/p.call", AS_CI)).status == 403)
        sidecar.ask(post("/tools/p.call", AS_OPS, b"X-Chora-Trace-Id: secret-one"))
        sidecar.ask(post(CALL, AS_OPS, b"X-Chora-Trace-Id: the-end"))

        seen: list[str] = []
        while not reader.ended and "the-end" not in seen:
            reader._read()
            seen += [str(message.json().get("trace_id")) for message in reader.waiting]

        assert "secret-one" not in seen


def test_operator_who_is_one_no_more_is_shown_no_more(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=with_ci(CI))
    demoted = guarded(named("ci", NEW, allow=["o.*"]), named("ops", OPS, allow=["p.*"]))
    with EventReader(sidecar.port, "/events?types=tool_invoked", AS_OPS.decode()) as reader:
        reload(sidecar, demoted)
        assert eventually(lambda: sidecar.ask(get("/metrics", AS_OPS)).status == 403)
        call(sidecar, AS_NEW)

        assert not reader.has_something(within_s=0.5) or reader.rest() == []


def test_call_that_is_under_way_is_answered(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url), settings=with_ci(CI))
    with sidecar.caller() as caller:
        caller.send(post(CALL, AS_CI))
        assert eventually(lambda: origin.calls)
        reload(sidecar, with_ci(NEW))
        assert eventually(lambda: sidecar.ask(get("/tools", AS_NEW)).status == 200)
        gate.open()

        assert caller.answer().status == 200


def keys(*entries: object) -> dict[str, object]:
    return {"auth": {"api_keys": list(entries)}}


BAD_SETTINGS: Final[dict[str, dict[str, object]]] = {
    "no-digest": keys({"name": "new", "sha256": "xyz"}),
    "short-digest": keys({"name": "new", "sha256": "ab" * 31}),
    "no-secret": keys({"name": "new"}),
    "no-name": keys({"sha256": "ab" * 32}),
    "unset-variable": keys({"name": "new", "key": "${NOBODY_SETS_THIS}"}),
    "no-such-file": keys({"name": "new", "key": "${file:/nonexistent/key}"}),
    "two-of-a-name": keys(named("new", NEW), named("new", UNKNOWN)),
    "no-list": {"auth": {"api_keys": {"name": "new"}}},
    "nothing": keys(None),
    "misspelt": keys({"name": "new", "sha265": "ab" * 32}),
    "bad-grant": keys(named("new", NEW, allow=[7])),
    "bad-rate": keys(named("new", NEW, rate="fast")),
    "empty-key": keys({"name": "new", "key": ""}),
    "not-known": {"auth": {"api_key": []}},
}


def test_settings_that_cannot_be_used_change_nothing(sidecar: Sidecar) -> None:
    for what, settings in BAD_SETTINGS.items():
        rejections = sidecar.stderr.count("Settings rejected")

        reload(sidecar, settings)

        assert eventually(lambda n=rejections: sidecar.stderr.count("Settings rejected") > n), what  # type: ignore[misc]  # mypy infers no lambda with a default
        asked = (AS_CI, AS_OPS, AS_NEW, b"X-API-Key:")
        assert [call(sidecar, key) for key in asked] == [200, 200, 401, 401], what
    assert NEW not in sidecar.stderr


def test_file_that_is_no_yaml_changes_nothing(sidecar: Sidecar) -> None:
    sidecar.settings_path.write_text("auth: {api_keys: [")
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: sidecar.said("Settings rejected"))
    assert [call(sidecar, AS_CI), call(sidecar, AS_NOBODY)] == [200, 401]


def test_list_without_keys_opens_nothing(sidecar: Sidecar) -> None:
    """An empty list is likelier a template that came out empty than a wish to let all in."""
    reload(sidecar, keys())

    assert eventually(lambda: sidecar.said("Settings rejected|Registry generation 2"))
    assert sidecar.ask(post(CALL)).status == 401


def test_key_in_a_file_is_read_again(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    secret = tmp_path / "ci.key"
    secret.write_text(CI + "\n")
    ci = {"name": "ci", "key": f"${{file:{secret}}}", "allow": ["o.*"]}
    settings = guarded(ci, secrets={"dir": str(tmp_path)})
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    assert call(sidecar, AS_CI) == 200

    secret.write_text(NEW + "\n")
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: call(sidecar, AS_NEW) == 200)
    assert call(sidecar, AS_CI) == 401


def test_stream_of_a_key_whose_file_was_rotated_ends(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    """What the settings say is the same as before; what it stands for is not."""
    secret = tmp_path / "ci.key"
    secret.write_text(CI)
    ci = {"name": "ci", "key": f"${{file:{secret}}}", "allow": ["o.*"]}
    sidecar = start_sidecar(server("o", origin.url), settings=guarded(ci))
    with EventReader(sidecar.port, "/events", AS_CI.decode()) as reader:
        secret.write_text(NEW)
        sidecar.signal(signal.SIGHUP)
        assert eventually(lambda: call(sidecar, AS_NEW) == 200)
        call(sidecar, AS_NEW)

        reader.rest()

        assert reader.ended


@pytest.mark.parametrize("content", ["", "\n", "  \n"], ids=["empty", "a-line-end", "blank"])
def test_file_of_a_key_that_is_empty_makes_no_empty_key(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path, content: str
) -> None:
    secret = tmp_path / "ci.key"
    secret.write_text(CI)
    ci = {"name": "ci", "key": f"${{file:{secret}}}", "allow": ["o.*"]}
    settings = guarded(ci, secrets={"dir": str(tmp_path)})
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    secret.write_text(content)
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: sidecar.said("Settings rejected|Registry generation 2"))
    assert [call(sidecar, key) for key in (b"X-API-Key:", b"Authorization: Bearer ")] == [401, 401]
    assert call(sidecar, AS_CI) == 200


def test_rotated_secret_goes_up_without_a_restart(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    secret = tmp_path / "upstream.token"
    secret.write_text("first-secret\n")
    injected = {"authorization": f"Bearer ${{file:{secret}}}"}
    sidecar = start_sidecar(
        server("o", origin.url, inject_headers=injected),
        settings=with_ci(CI, secrets={"dir": str(tmp_path)}),
    )
    with sidecar.caller() as caller:

        def sent_up() -> str | None:
            caller.send(post(CALL, AS_CI))
            assert caller.answer().status == 200
            return origin.calls[-1].value("authorization")

        assert sent_up() == "Bearer first-secret"

        secret.write_text("second-secret\n")
        sidecar.signal(signal.SIGHUP)

        assert eventually(lambda: sent_up() == "Bearer second-secret")
    assert not sidecar.said("(first|second)-secret")


def test_secret_that_is_gone_does_not_let_a_call_go_without(
    origin: Origin, start_sidecar: StartSidecar, tmp_path: Path
) -> None:
    """The last value stays, or the call is refused: never a call without its credential."""
    secret = tmp_path / "upstream.token"
    secret.write_text("first-secret\n")
    injected = {"authorization": f"Bearer ${{file:{secret}}}"}
    sidecar = start_sidecar(
        server("o", origin.url, inject_headers=injected),
        settings=with_ci(CI, secrets={"dir": str(tmp_path)}),
    )
    secret.unlink()
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: sidecar.said("Settings rejected|Registry generation 2"))
    call(sidecar, AS_CI)
    assert {visit.value("authorization") for visit in origin.calls} <= {"Bearer first-secret"}


def test_start_without_a_usable_key_is_no_start(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    settings = guarded({"name": "ci", "key": "${NOBODY_SETS_THIS}"})

    with pytest.raises(AssertionError, match="does not listen"):
        start_sidecar(server("o", origin.url), settings=settings)


def test_verdict_of_a_gone_key_says_nothing_of_its_past(sidecar: Sidecar) -> None:
    reload(sidecar, with_ci(NEW))
    assert eventually(lambda: call(sidecar, AS_NEW) == 200)

    gone, never = (sidecar.ask(post(CALL, key)) for key in (AS_CI, x_api_key(UNKNOWN)))

    assert verdict(gone) == verdict(never) == (401, "unauthenticated")
    assert gone.json()["detail"] == never.json()["detail"]
