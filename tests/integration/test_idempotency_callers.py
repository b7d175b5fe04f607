"""An answer that is kept is one caller's own: nobody else gets it, nobody else is in its way."""

import hashlib
from collections.abc import Iterator

import pytest

from tests.support.loop_thread import LoopThread
from tests.support.messages import ok, post
from tests.support.origin import Origin, Visit
from tests.support.ports import refusing_port
from tests.support.scripts import answers, echo, holds, in_turn
from tests.support.sidecar import NEVER_OPENS, Server, Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

KEY = b"Idempotency-Key: k-1"
REPLAYED = "idempotency-replayed"
ANN, BOB = b"X-API-Key: of-ann", b"X-API-Key: of-bob"
NARROW = b"X-API-Key: of-narrow"


def api_key(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "sha256": hashlib.sha256(f"of-{name}".encode()).hexdigest(), **more}


@pytest.fixture(scope="module")
def origin(loop_thread: LoopThread) -> Iterator[Origin]:
    origin = Origin(echo)
    loop_thread.run(origin.start())
    yield origin
    loop_thread.run(origin.stop())


@pytest.fixture
def guarded(start_sidecar: StartSidecar, origin: Origin) -> Sidecar:
    origin.forget(echo)
    keys = [api_key("ann"), api_key("bob"), api_key("narrow", allow=["p.*"])]
    servers = server("o", origin.url), server("p", origin.url)
    return start_sidecar(*servers, settings={"auth": {"api_keys": keys}})


def test_answer_is_for_its_caller_alone(guarded: Sidecar, origin: Origin) -> None:
    came = [
        guarded.ask(post("/tools/o.call", KEY, who, body=body))
        for who, body in ((ANN, b"1"), (BOB, b"1"), (ANN, b"1"), (BOB, b"2"))
    ]

    assert [(each.status, each.value(REPLAYED)) for each in came] == [
        (200, None),
        (200, None),
        (200, "true"),
        (422, None),
    ]
    assert len(origin.calls) == 2


def test_running_call_is_joined_by_its_caller_alone(
    guarded: Sidecar, origin: Origin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin.script = holds(gate)
    with guarded.caller() as ann, guarded.caller() as again, guarded.caller() as bob:
        for caller, who in ((ann, ANN), (again, ANN), (bob, BOB)):
            caller.send(post("/tools/o.call", KEY, who))
            caller.wait_until_read()
        assert eventually(lambda: len(origin.calls) == 2)
        gate.open()
        came = [each.answer() for each in (ann, again, bob)]

    assert [each.value(REPLAYED) for each in came] == [None, "true", None]
    assert len(origin.calls) == 2


@pytest.mark.parametrize("credential", [b"X-API-Key: wrong", b"X-None: 1", NARROW])
def test_who_may_not_call_gets_nothing_from_memory(
    guarded: Sidecar, origin: Origin, credential: bytes
) -> None:
    guarded.ask(post("/tools/o.call", KEY, ANN))

    answer = guarded.ask(post("/tools/o.call", KEY, credential))

    assert (answer.status in {401, 403}, len(origin.calls)) == (True, 1)
    assert guarded.ask(post("/tools/o.call", KEY, ANN)).value(REPLAYED) == "true"


def test_grant_that_was_taken_away_takes_the_answer_along(
    start_sidecar: StartSidecar, start_origin: StartOrigin
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(
        server("o", origin.url), settings={"auth": {"api_keys": [api_key("ann", teams=["a"])]}}
    )
    assert sidecar.ask(post("/tools/o.call", KEY, ANN)).status == 200
    sidecar.registry_path.write_text(registry(server("o", origin.url, authorized_teams=["b"])))

    assert eventually(lambda: sidecar.ask(post("/tools/o.call", KEY, ANN)).status == 403)


def test_credentials_that_a_server_takes_are_part_of_who_asks(
    start_sidecar: StartSidecar, start_origin: StartOrigin
) -> None:
    async def who(visit: Visit) -> None:
        await visit.read()
        await visit.send(ok((visit.value("authorization") or "").encode()))

    origin = start_origin(who)
    sidecar = start_sidecar(server("o", origin.url, forward_headers=["authorization"]))
    came = [
        sidecar.ask(post("/tools/o.call", KEY, b"Authorization: Bearer " + name)).body
        for name in (b"ann", b"bob")
    ]

    assert came[1] != b"Bearer ann"


@pytest.mark.parametrize(
    ("wrong", "status"),
    [
        ({"upstream_dependencies": {"credentials_required": ["NOT_SET"]}}, 424),
        ({"max_body": 1}, 413),
        ({"endpoints": ["http://127.0.0.1:1"], "health": {"expect": [200]}}, 502),
    ],
    ids=["poor", "small", "dead"],
)
def test_our_own_errors_are_not_kept(
    start_sidecar: StartSidecar, start_origin: StartOrigin, wrong: Server, status: int
) -> None:
    origin = start_origin(answers(ok(b"whole")))
    right = {**server("o", origin.url, circuit=NEVER_OPENS), "health_url": f"{origin.url}/health"}
    sidecar = start_sidecar({**right, **wrong})

    refused = sidecar.ask(post("/tools/o.call", KEY)).status
    sidecar.registry_path.write_text(registry(right))

    assert refused == status
    assert eventually(lambda: sidecar.ask(post("/tools/o.call", KEY)).body == b"whole")


def test_circuit_that_is_open_does_not_hide_what_is_kept_nor_keep_its_refusal(
    start_sidecar: StartSidecar, start_origin: StartOrigin
) -> None:
    origin = start_origin(in_turn(answers(ok(b"kept")), answers(b"", close=True)))
    circuit = {"failures": 1, "open_for": "300ms", "successes": 1}
    sidecar = start_sidecar(server("o", origin.url, circuit=circuit))
    other = b"Idempotency-Key: k-2"
    sidecar.ask(post("/tools/o.call", KEY))
    assert sidecar.ask(post("/tools/o.call")).status == 502

    kept = sidecar.ask(post("/tools/o.call", KEY))
    refused = sidecar.ask(post("/tools/o.call", other))
    origin.script = answers(ok(b"whole"))

    assert (kept.body, refused.status) == (b"kept", 503)
    assert eventually(lambda: sidecar.ask(post("/tools/o.call", other)).body == b"whole")


def test_rate_limit_that_refuses_is_not_kept(
    start_sidecar: StartSidecar, start_origin: StartOrigin
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url, rate="4/s"))
    while sidecar.ask(post("/tools/o.call")).status == 200:
        pass
    other = b"Idempotency-Key: k-2"
    statuses = {sidecar.ask(post("/tools/o.call", other)).status}

    assert eventually(lambda: sidecar.ask(post("/tools/o.call", other)).status == 200)
    assert statuses <= {200, 429}


def test_retry_within_a_call_is_one_call(
    start_sidecar: StartSidecar, start_origin: StartOrigin
) -> None:
    origin = start_origin(answers(ok(b"whole")))
    with refusing_port() as port:
        both = {
            **server("o", "", circuit=NEVER_OPENS, balance="round_robin"),
            "endpoints": [f"http://127.0.0.1:{port}", origin.url],
            "health_url": f"{origin.url}/health",
        }
        sidecar = start_sidecar(both)
        came = [
            [sidecar.ask(post("/tools/o.call", b"Idempotency-Key: %d" % n)).body for _ in range(2)]
            for n in range(4)
        ]

    assert (came, len(origin.calls)) == ([[b"whole"] * 2] * 4, 4)
