"""Every line of the contract's Limits, at its edge; checklist 63 and sizes."""

import time
from collections.abc import Iterator

import pytest

from tests.support.messages import get, message, post, post_chunked
from tests.support.origin import Origin
from tests.support.problems import problem_of
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartSidecar
from tests.support.tables import refusals, refused_with
from tests.support.waiting import eventually

LIMITS = {
    "request_line": 1024,
    "head": "2KiB",
    "fields": 10,
    "head_timeout": "400ms",
    "idle": "800ms",
}


UNUSED = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def narrow_sidecar(
    shared_origin: Origin, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    directory = tmp_path_factory.mktemp("narrow-sidecar")
    text = registry(server("o", shared_origin.url, passthrough=True))
    sidecar = Sidecar(directory, text, {"limits": LIMITS})
    yield sidecar
    sidecar.close()


@pytest.fixture
def narrow(narrow_sidecar: Sidecar, origin: Origin) -> Sidecar:
    """A sidecar with every limit set low; `origin` is behind it and is asked nothing yet."""
    assert origin.calls == []
    return narrow_sidecar


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(post("/tools/small.call", body=b"x" * 1025), id="counted"),
        pytest.param(
            message(b"POST /tools/small.call HTTP/1.1", b"Host: a", b"Content-Length: 99999999999"),
            id="declared-only",
        ),
    ],
)
def test_body_declared_over_max_body_is_too_large(
    sidecar: Sidecar, origin: Origin, form: bytes
) -> None:
    answer = sidecar.ask(form)

    assert (answer.status, answer.json()["code"], origin.calls) == (413, "body_too_large", [])


def test_body_that_grows_over_max_body_is_too_large(sidecar: Sidecar, origin: Origin) -> None:
    body = b"200\r\n" + b"x" * 512 + b"\r\n" + b"201\r\n" + b"x" * 513 + b"\r\n0\r\n\r\n"

    answer = sidecar.ask(post_chunked("/tools/small.call", body=body))

    assert (answer.status, answer.json()["code"]) == (413, "body_too_large")
    assert eventually(lambda: all(call.connection.ending for call in origin.calls))
    assert not any(call.complete for call in origin.calls)


def test_one_chunk_over_max_body_is_too_large_before_it_ends(sidecar: Sidecar) -> None:
    body = b"ffffffff\r\n" + b"x" * 1025

    answer = sidecar.ask(post_chunked("/tools/small.call", body=body))

    assert answer.status == 413


@pytest.mark.parametrize(
    "form",
    [
        pytest.param(post("/tools/small.call", body=b"x" * 1024), id="counted"),
        pytest.param(
            post_chunked("/tools/small.call", body=b"400\r\n" + b"x" * 1024 + b"\r\n0\r\n\r\n"),
            id="chunked",
        ),
    ],
)
def test_body_of_exactly_max_body_is_served(sidecar: Sidecar, form: bytes) -> None:
    assert sidecar.ask(form).json()["body_bytes"] == 1024


@pytest.mark.parametrize("start", [b"POST /tools/o.call", b"GET /health"], ids=["tools", "control"])
@pytest.mark.parametrize(
    ("row", "status"),
    [
        pytest.param(b"<>?" + b"q" * 1024 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, id="line"),
        pytest.param(b"<> HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 2048 + b"\r\n\r\n", 431, id="head"),
        pytest.param(b"<> HTTP/1.1\r\nHost: a\r\n" + b"X: v\r\n" * 10 + b"\r\n", 431, id="fields"),
    ],
)
def test_configured_limits_hold(
    narrow: Sidecar, origin: Origin, row: bytes, status: int, start: bytes
) -> None:
    came = refusals(narrow, row, start)

    assert (came, origin.calls) == (refused_with(status), [])


@pytest.mark.parametrize(
    "beginning",
    [
        pytest.param(b"P", id="one-byte"),
        pytest.param(b"POST /tools/o.call HTTP/1.1\r\n", id="line"),
        pytest.param(b"POST /tools/o.call HTTP/1.1\r\nHost: a\r\nX-A", id="half-a-field"),
        pytest.param(b"GET /health HTTP/1.1\r\nHost: a\r\n", id="control"),
    ],
)
def test_63_head_that_stays_unfinished_times_out(narrow: Sidecar, beginning: bytes) -> None:
    started_at = time.monotonic()

    came = refusals(narrow, beginning, b"")

    assert came == [(408, "request_timeout")]
    assert 0.3 <= time.monotonic() - started_at < 4


def test_12_line_without_a_version_needs_no_more_to_be_refused(narrow: Sidecar) -> None:
    assert refusals(narrow, b"GET /health\r\n", b"") == refused_with(400)


def test_63_second_head_that_stays_unfinished_times_out(narrow: Sidecar) -> None:
    came = narrow.verdicts(post("/tools/o.call") + b"POST /tools/o")

    assert came == [200, 408]


def test_63_dripping_does_not_buy_time(narrow: Sidecar) -> None:
    started_at = time.monotonic()
    with narrow.caller() as caller:
        caller.send(b"GET /health HTTP/1.1\r\nX-A: ")
        while not caller.has_something(within_s=0.05) and time.monotonic() - started_at < 8:
            caller.send_as_far_as_it_goes(b"v")

        assert caller.answer().status == 408
    assert time.monotonic() - started_at < 4


def test_63_connection_that_never_sent_a_byte_is_closed_without_a_word(narrow: Sidecar) -> None:
    with narrow.caller() as caller:
        assert caller.rest() == b""


def test_idle_connection_is_closed_without_a_word(narrow: Sidecar) -> None:
    with narrow.caller() as caller:
        started_at = time.monotonic()
        caller.send(post("/tools/o.call"))
        caller.answer()

        assert caller.rest() == b""
    assert 0.6 <= time.monotonic() - started_at < 8


def test_slow_body_is_not_a_slow_head(narrow: Sidecar) -> None:
    with narrow.caller() as caller, narrow.caller() as clock:
        caller.send(message(b"POST /tools/o.call HTTP/1.1", b"Host: a", b"Content-Length: 2"))
        clock.send(b"P")
        assert clock.answer().status == 408  # a head's time has passed
        caller.send(b"{}")

        assert caller.answer().status == 200


def test_connections_over_the_limit_are_told_so(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", UNUSED), settings={"limits": {"connections": 2}})
    with sidecar.caller() as one, sidecar.caller() as two:
        for taken in (one, two):
            taken.send(get("/livez"))
            assert taken.answer().status == 200

        answer = sidecar.ask(post("/tools/o.call"))

    found = (
        answer.status,
        problem_of(answer)["code"],
        (answer.value("retry-after") or "").isdigit(),
    )
    assert found == (503, "too_many_connections", True)


def test_connection_that_ends_makes_room(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", UNUSED), settings={"limits": {"connections": 1}})
    with sidecar.caller() as only:
        only.send(get("/livez"))
        only.answer()

    assert eventually(lambda: sidecar.get("/livez").status == 200)
