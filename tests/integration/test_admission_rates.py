"""How often may who call what? N at once, then a refusal that says when to come back.

Rates here are per hour, so that no permit comes back while a test runs.
"""

from signal import SIGHUP as _HUP
from typing import Final

import pytest

from tests.support.admission_limits import left, quota
from tests.support.admission_scene import (
    AS_CI,
    AS_NOBODY,
    AS_OPS,
    CI,
    OPS,
    guarded,
    named,
    verdict,
)
from tests.support.admission_tokens import token, trusting
from tests.support.caller import Answer
from tests.support.loop_thread import LoopThread
from tests.support.messages import get, message, post
from tests.support.origin import Origin
from tests.support.scripts import answers, echo, holds
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"
LIMITED: Final = (429, "rate_limited")
THREE: Final = "3/h"


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


def called(sidecar: Sidecar, times: int, *fields: bytes, target: str = CALL) -> list[Answer]:
    return [sidecar.ask(post(target, *fields)) for _ in range(times)]


def statuses(told: list[Answer]) -> list[int]:
    return [answer.status for answer in told]


def keys(**of_ci: object) -> dict[str, object]:
    return guarded(named("ci", CI, **of_ci), named("ops", OPS, admin=True))


def test_key_has_its_rate_and_no_other_key_does(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate=THREE))

    told = called(sidecar, 5, AS_CI)

    assert [verdict(answer) for answer in told] == [(200, None)] * 3 + [LIMITED] * 2
    assert [left(answer) for answer in told] == [2, 1, 0, 0, 0]
    assert {quota(answer) for answer in told} == {(3, 3600)}
    assert statuses(called(sidecar, 4, AS_OPS)) == [200] * 4
    assert len(origin.calls) == 7


def test_refusal_says_when_to_come_back(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate=THREE))

    refused = called(sidecar, 4, AS_CI)[-1]

    assert 0 < int(refused.value("retry-after") or 0) <= 1200
    assert refused.json()["retryable"] is True
    assert "ci" in str(refused.json()["detail"])
    assert CI not in str(refused)


def test_permit_comes_back_in_its_time(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate="2/s"))

    assert eventually(lambda: sidecar.ask(post(CALL, AS_CI)).status == 429)
    assert eventually(lambda: sidecar.ask(post(CALL, AS_CI)).status == 200)


def test_two_credentials_of_a_caller_are_one_caller(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate="2/h"))
    as_bearer = b"Authorization: Bearer " + CI.encode()

    told = [*called(sidecar, 1, AS_CI), *called(sidecar, 2, as_bearer)]

    assert statuses(told) == [200, 200, 429]


def test_tool_and_server_have_rates_for_all_together(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    tools = ["call", {"name": "seldom", "rate": "1/h"}]
    limited = server("o", origin.url, tools=tools, rate=THREE)
    sidecar = start_sidecar(limited, server("p", origin.url), settings=keys())

    seldom = [*called(sidecar, 1, AS_CI, target="/tools/o.seldom")]
    seldom += called(sidecar, 2, AS_OPS, target="/tools/o.seldom")
    rest = [*called(sidecar, 1, AS_CI), *called(sidecar, 2, AS_OPS)]

    assert statuses(seldom) == [200, 429, 429]
    assert statuses(rest) == [200, 200, 429]  # what a tool refused took none of the server's
    assert statuses(called(sidecar, 2, AS_CI, target="/tools/p.call")) == [200, 200]


def test_call_refused_by_the_server_takes_none_of_the_keys(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    o, p = server("o", origin.url, rate="1/h"), server("p", origin.url)
    sidecar = start_sidecar(o, p, settings=keys(rate=THREE))

    told = called(sidecar, 4, AS_CI)
    others = called(sidecar, 3, AS_CI, target="/tools/p.call")

    assert statuses(told) == [200, 429, 429, 429]
    assert statuses(others) == [200, 200, 429]


def test_call_refused_by_the_key_takes_none_of_the_servers(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url, rate=THREE), settings=keys(rate="1/h"))

    assert statuses(called(sidecar, 4, AS_CI)) == [200, 429, 429, 429]
    assert statuses(called(sidecar, 3, AS_OPS)) == [200, 200, 429]


def test_strangers_and_the_forbidden_take_no_permit(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    o, p = server("o", origin.url, rate=THREE), server("p", origin.url)
    sidecar = start_sidecar(o, p, settings=keys(rate=THREE, allow=["o.call"]))

    for _ in range(5):
        sidecar.ask(post(CALL))
        sidecar.ask(post(CALL, AS_NOBODY))
        sidecar.ask(post("/tools/p.call", AS_CI))
        sidecar.ask(post("/tools/o.nothing", AS_CI))

    assert statuses(called(sidecar, 4, AS_CI)) == [200, 200, 200, 429]


def test_stranger_is_not_told_of_rates(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url, rate="1/h"), settings=keys())
    called(sidecar, 2, AS_CI)

    stranger = sidecar.ask(post(CALL))

    assert verdict(stranger) == (401, "unauthenticated")
    assert stranger.values("ratelimit") == stranger.values("ratelimit-policy") == []


def test_each_caller_has_the_rate_for_callers(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys() | {"rate": THREE})

    assert statuses(called(sidecar, 4, AS_CI)) == [200, 200, 200, 429]
    assert statuses(called(sidecar, 4, AS_OPS)) == [200, 200, 200, 429]


def test_each_subject_of_a_token_is_a_caller(
    origin: Origin, start_sidecar: StartSidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {"auth": {"jwt": trusting(tmp_path_factory.mktemp("jwt"))}, "rate": "2/h"}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)

    def as_(subject: str) -> bytes:
        return b"Authorization: Bearer " + token(subject).encode()

    told = [sidecar.ask(post(CALL, as_("ada"))) for _ in range(3)]  # a token of its own each time
    other = sidecar.ask(post(CALL, as_("bob")))

    assert statuses([*told, other]) == [200, 200, 429, 200]


def test_without_authorization_an_address_is_a_caller(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings={"rate": THREE})
    invented = (b"X-API-Key: %d", b"X-Forwarded-For: 10.0.0.%d", b"Forwarded: for=10.0.1.%d")

    told = [sidecar.ask(post(CALL, each % number)) for number in (1, 2) for each in invented]

    assert statuses(told) == [200] * 3 + [429] * 3


def test_burst_on_many_connections_gets_no_more_than_its_number(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate="5/h"))
    crowd = [sidecar.caller() for _ in range(20)]
    for caller in crowd:
        caller.send(post(CALL, AS_CI))
    assert eventually(lambda: len(origin.calls) == 5)
    gate.open()

    told = [caller.answer().status for caller in crowd]

    assert (told.count(200), told.count(429), len(origin.calls)) == (5, 15, 5)
    for caller in crowd:
        caller.leave()


def test_passthrough_counts_for_its_caller(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(
        server("o", origin.url, passthrough=True), settings=keys(rate=THREE, allow=["o.*"])
    )

    told = [sidecar.ask(get("/servers/o/mcp", AS_CI)) for _ in range(4)]

    assert statuses(told) == [200, 200, 200, 429]


def test_invocation_counts_as_the_call_that_it_is(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate=THREE))
    body = b'{"server":"o","tool":"call","parameters":{}}'
    fields = (AS_CI, b"Content-Type: application/json")
    invoke = post("/api/v1/invoke", *fields, body=body)
    if sidecar.ask(invoke).status == 404:
        pytest.skip("/api/v1/invoke is not there yet")

    told = [sidecar.ask(invoke).status for _ in range(3)]

    assert told == [200, 200, 429]


def test_answer_of_the_upstream_keeps_its_own_word_on_rates(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    own = message(b"HTTP/1.1 200 OK", b"RateLimit: theirs", b"Content-Length: 0")
    origin = start_origin(answers(own))
    sidecar = start_sidecar(server("o", origin.url), settings=keys())

    assert sidecar.ask(post(CALL, AS_CI)).values("ratelimit") == ["theirs"]


def test_reload_gives_no_second_helping(origin: Origin, start_sidecar: StartSidecar) -> None:
    settings = keys(rate=THREE)
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    called(sidecar, 3, AS_CI)
    sidecar.registry_path.write_text(sidecar.registry_path.read_text() + "# changed\n")
    sidecar.signal(_HUP)
    assert eventually(lambda: sidecar.said("Registry generation 2"))

    assert statuses(called(sidecar, 2, AS_CI)) == [429, 429]


def test_refusals_for_a_rate_are_counted_and_named(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=keys(rate="1/h"))
    called(sidecar, 3, AS_CI)

    text = sidecar.ask(get("/metrics", AS_OPS)).body.decode()

    assert 'toolproxy_rejected_total{code="rate_limited"} 2.0' in text
