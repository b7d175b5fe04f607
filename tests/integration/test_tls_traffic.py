"""What goes over TLS is what goes over plain TCP, in all that a connection can meet."""

import hashlib
import signal
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from tests.support.caller import Answer, BrokenOffError
from tests.support.loop_thread import LoopThread
from tests.support.messages import chunked, get, message, ok, post, post_chunked
from tests.support.near_callers import TlsCaller
from tests.support.origin import Script
from tests.support.scripts import answers, echo, holds, sends_and_resets
from tests.support.tls_scene import TlsScene, tls_scene
from tests.support.waiting import eventually

CALL: Final = post("/tools/o.call")
LARGE: Final = b"0123456789abcdef" * 262_144
AUTH: Final = {
    "certificates": [
        {"name": "mesh", "san": "mesh.example", "allow": ["o.*"]},
        {"name": "boss", "subject": "CN=boss,OU=any", "admin": True},
        {"name": "ops", "san": "ops.example", "admin": True},
    ],
    "api_keys": [{"name": "ci", "sha256": hashlib.sha256(b"ci").hexdigest()}],
}
AS_CI: Final = b"X-API-Key: ci"
Play = Callable[[Script], None]


@pytest.fixture(scope="module")
def scene(loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsScene]:
    with tls_scene(loop_thread, tmp_path_factory.mktemp("tls"), auth=AUTH) as scene:
        yield scene


@pytest.fixture
def script(scene: TlsScene) -> Iterator[Play]:
    """What the upstream does for the length of one test."""
    yield scene.origin.forget
    scene.origin.forget(echo)


def as_ci(scene: TlsScene, *, receive_buffer_bytes: int | None = None) -> TlsCaller:
    """Over TLS, without a certificate."""
    context = scene.ours.trusting()
    return TlsCaller(scene.ports["open"], context, receive_buffer_bytes=receive_buffer_bytes)


def showing(scene: TlsScene, *names: str, listener: str = "optional") -> TlsCaller:
    context = scene.theirs.showing(*names, common_name="ann")
    context.load_verify_locations(str(scene.ours.path))
    return TlsCaller(scene.ports[listener], context)


def asked(caller: TlsCaller, request: bytes) -> Answer:
    caller.send(request)
    return caller.answer(request.partition(b" ")[0].decode())


def seen(answer: Answer, name: str) -> list[str]:
    """What the upstream saw of a field."""
    headers = answer.json()["headers"]
    assert isinstance(headers, list)
    return [value for key, value in headers if key.lower() == name]


# --- requests ---


def test_upstream_learns_that_the_caller_came_by_tls(scene: TlsScene) -> None:
    with as_ci(scene) as caller:
        answer = asked(caller, post("/tools/o.call", AS_CI))

    assert (answer.status, seen(answer, "x-forwarded-proto")) == (200, ["https"])
    assert seen(answer, "x-forwarded-for") == ["127.0.0.1"]


def test_connection_stays_for_the_next_request(scene: TlsScene) -> None:
    with as_ci(scene) as caller:
        answers = [asked(caller, post("/tools/o.call", AS_CI)) for _ in range(3)]
        caller.send(post("/tools/o.call", AS_CI) * 2 + get("/livez"))
        answers += [caller.answer(), caller.answer(), caller.answer("GET")]

    assert [answer.status for answer in answers] == [200] * 6


def test_connection_ends_as_tls_ends(scene: TlsScene) -> None:
    with as_ci(scene) as caller:
        answer = asked(caller, post("/tools/o.call", AS_CI, b"Connection: close"))
        assert caller.rest() == b""  # and no SSLEOFError, which an end by TCP alone would be

    assert (answer.status, answer.closes) == (200, True)


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_large_bodies_go_both_ways(scene: TlsScene, framing: str) -> None:
    with as_ci(scene) as caller:
        if framing == "counted":
            caller.send(post("/tools/o.call", AS_CI, body=LARGE))
        else:
            caller.send(post_chunked("/tools/o.call", AS_CI, body=chunked(LARGE)))
        answer = caller.answer()

    assert answer.json()["body"] == LARGE.decode()


def test_answer_is_refused_early_and_still_arrives(scene: TlsScene) -> None:
    with as_ci(scene) as caller:
        head = message(
            b"POST /tools/no.such HTTP/1.1", b"Host: a", AS_CI, b"Content-Length: 9000000"
        )
        caller.send_as_far_as_it_goes(head + LARGE[: 1 << 16])
        answer = caller.answer()
        rest = caller.rest()

    assert (answer.status, answer.closes, rest) == (404, True, b"")


def test_caller_who_reads_slowly_holds_back_the_upstream(scene: TlsScene, script: Play) -> None:
    script(answers(ok(LARGE * 8)))
    with as_ci(scene, receive_buffer_bytes=65_536) as caller:
        before = scene.sidecar.resident_bytes()
        caller.send(post("/tools/o.call", AS_CI))
        assert eventually(lambda: scene.origin.calls)
        writer = scene.origin.calls[0].connection.writer
        assert eventually(writer.transport.get_write_buffer_size)
        held_bytes = scene.sidecar.resident_bytes() - before
        answer = caller.answer()

    assert held_bytes < len(LARGE) * 4
    assert answer.body == LARGE * 8


def test_caller_who_leaves_is_noticed(
    scene: TlsScene, script: Play, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    script(holds(gate))
    with as_ci(scene) as caller:
        caller.send(post("/tools/o.call", AS_CI))
        assert eventually(lambda: scene.origin.calls)

    assert eventually(lambda: scene.origin.calls[0].connection.ending is not None)
    gate.open()


def test_answer_that_breaks_off_is_no_whole_one(scene: TlsScene, script: Play) -> None:
    begun = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"
    script(sends_and_resets(begun))
    with as_ci(scene) as caller:
        caller.send(post("/tools/o.call", AS_CI).replace(b"HTTP/1.1", b"HTTP/1.0"))

        with pytest.raises((ssl.SSLEOFError, BrokenOffError)):  # without TLS's own end
            caller.answer()


# --- client certificates ---


def test_upstream_learns_whose_certificate_it_was(scene: TlsScene) -> None:
    with showing(scene, "mesh.example") as caller:
        answer = asked(caller, post("/tools/o.call", b"X-Forwarded-Client-Cert: Subject=forged"))

    (value,) = seen(answer, "x-forwarded-client-cert")
    assert value.startswith('Subject="CN=ann,OU=')
    assert value.endswith(";DNS=mesh.example")


def test_without_a_certificate_nothing_is_said_of_one(scene: TlsScene) -> None:
    with TlsCaller(scene.ports["optional"], scene.ours.trusting()) as caller:
        answer = asked(
            caller, post("/tools/o.call", AS_CI, b"X-Forwarded-Client-Cert: Subject=forged")
        )

    assert (answer.status, seen(answer, "x-forwarded-client-cert")) == (200, [])


def test_certificate_admits_the_application_that_it_names(scene: TlsScene) -> None:
    with showing(scene, "mesh.example") as caller:
        allowed, forbidden = (asked(caller, post(f"/tools/{n}.call")) for n in "op")
        metrics = asked(caller, get("/metrics"))
        tools = asked(caller, get("/tools"))

    assert (allowed.status, forbidden.status, metrics.status, tools.status) == (200, 403, 403, 200)


def test_certificate_that_names_nobody_admits_nobody(scene: TlsScene) -> None:
    with showing(scene, "stranger.example") as caller:
        assert [asked(caller, request).status for request in (CALL, get("/tools"))] == [401, 401]


def test_certificate_of_an_operator_is_known_to_the_control_plane(scene: TlsScene) -> None:
    with showing(scene, "ops.example") as caller:
        assert asked(caller, get("/metrics")).status == 200


def test_who_one_connection_is_says_nothing_of_another(scene: TlsScene) -> None:
    """The same head, which each connection remembers for itself."""
    with (
        showing(scene, "mesh.example") as known,
        showing(scene, "stranger.example") as stranger,
        TlsCaller(scene.ports["optional"], scene.ours.trusting()) as nobody,
    ):
        statuses = [
            [asked(each, CALL).status for each in (known, stranger, nobody)] for _ in range(3)
        ]

    assert statuses == [[200, 401, 401]] * 3


def test_key_stands_over_the_certificate(scene: TlsScene) -> None:
    with showing(scene, "mesh.example") as caller:
        assert asked(caller, post("/tools/p.call", AS_CI)).status == 200


# --- reload, and what is told ---


def test_end_of_each_certificate_is_a_metric(scene: TlsScene) -> None:
    with showing(scene, "ops.example") as caller:
        metrics = asked(caller, get("/metrics")).body.decode()

    name = "toolproxy_certificate_expiry_timestamp_seconds"
    told = [line.split(" ") for line in metrics.splitlines() if line.startswith(name)]
    shown = {key.removeprefix(f'{name}{{certificate="').removesuffix('"}') for key, _ in told}
    assert {Path(file).name for file in shown} == {"first.pem", "second.pem"}
    assert all(float(value) > datetime.now(UTC).timestamp() for _, value in told)


def test_new_certificates_are_for_new_connections_and_old_ones_go_on(scene: TlsScene) -> None:
    def shown() -> bytes | None:
        with as_ci(scene) as fresh:
            return fresh.secured.getpeercert(binary_form=True)

    before = shown()
    with as_ci(scene) as caller:
        assert asked(caller, post("/tools/o.call", AS_CI)).status == 200
        ends_at = datetime.now(UTC) + timedelta(days=7)
        scene.ours.server("first", "127.0.0.1", "a.example", ends_at=ends_at)
        scene.sidecar.signal(signal.SIGHUP)

        assert eventually(lambda: shown() != before)
        assert asked(caller, post("/tools/o.call", AS_CI)).status == 200


def test_certificates_that_can_not_be_used_leave_the_old_ones(scene: TlsScene) -> None:
    key = scene.folder / "first.key"
    good = key.read_bytes()
    key.write_bytes((scene.folder / "second.key").read_bytes())
    scene.sidecar.signal(signal.SIGHUP)

    assert eventually(
        lambda: scene.sidecar.said(
            r"error: Certificates rejected, the running ones stay: listen\[2\]\.tls\.key: "
            r".*first\.key does not fit the certificate .*first\.pem"
        )
    )
    with as_ci(scene) as caller:
        assert asked(caller, post("/tools/o.call", AS_CI)).status == 200
    key.write_bytes(good)
