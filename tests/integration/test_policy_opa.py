"""Calls under a policy: what OPA is asked, and what its answer does.

Knows the contract's words alone. How OPA's answers are read and remembered is tested in units.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.invocations import JSON
from tests.support.loop_thread import LoopThread
from tests.support.messages import message, post
from tests.support.opa_server import OpaServer, never
from tests.support.origin import Origin, Script, Visit
from tests.support.policy_server import ALLOWED, ANN, BOB, Judged, call, invoke, judged
from tests.support.problems import problem_of
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar
from tests.support.waiting import eventually

MIB = 1 << 20
MINUTE = timedelta(minutes=1)
_NUMBERS = iter(range(1 << 62))


@pytest.fixture(scope="module")
def all_three(
    loop_thread: LoopThread, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Judged]:
    with judged(loop_thread, tmp_path_factory.mktemp("policy")) as all_three:
        yield all_three


@pytest.fixture
def sidecar(all_three: Judged) -> Sidecar:
    all_three.forget()
    return all_three.sidecar


@pytest.fixture
def origin(all_three: Judged) -> Origin:
    return all_three.origin


@pytest.fixture
def opa(all_three: Judged) -> OpaServer:
    return all_three.opa


@pytest.fixture
def body() -> bytes:
    """Parameters that no test before has sent."""
    return b'{"n":%d}' % next(_NUMBERS)


def test_opa_is_asked_what_the_contract_says(sidecar: Sidecar, opa: OpaServer, body: bytes) -> None:
    sidecar.ask(call(body, b"X-Request-Id: r-1", b"User-Agent: x"))

    (question,) = opa.inputs
    context = question.pop("context")
    user = question.pop("user")
    assert question == {
        "action": "gateway:tool:invoke",
        "tool": {"name": "call", "parameters": {"n": question["tool"]["parameters"]["n"]}},
        "server": {"name": "o"},
    }
    assert sorted(context) == ["client_ip", "request_id", "timestamp"]
    assert (context["client_ip"], context["request_id"]) == ("127.0.0.1", "r-1")
    assert abs(datetime.fromisoformat(context["timestamp"]) - datetime.now(UTC)) < MINUTE
    assert "of-ann" not in repr((user, context))
    assert "ann" in repr(user)


def test_opa_is_asked_on_its_path_as_json(sidecar: Sidecar, opa: OpaServer, body: bytes) -> None:
    sidecar.ask(call(body))

    (visit,) = opa.calls
    assert (visit.method, visit.target) == (b"POST", b"/v1/data/mcp/allow")
    assert (visit.value("content-type") or "").startswith("application/json")
    assert not [n for n, v in visit.headers if b"of-ann" in v]


@pytest.mark.parametrize("ask", [call, invoke], ids=["tools", "invoke"])
def test_filtered_parameters_replace_the_body(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes, ask: object
) -> None:
    opa.says(ALLOWED | {"filtered_parameters": {"b": ["é", 1], "a": None}})
    assert callable(ask)

    sidecar.ask(ask(body))

    (visit,) = origin.calls
    assert bytes(visit.body) == '{"b":["é",1],"a":null}'.encode()
    assert visit.value("content-length") == str(len(visit.body))


@pytest.mark.parametrize("ask", [call, invoke], ids=["tools", "invoke"])
def test_filtered_to_nothing_is_an_empty_object(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes, ask: object
) -> None:
    opa.says(ALLOWED | {"filtered_parameters": {}})
    assert callable(ask)

    came = [sidecar.ask(ask(body)).status for _ in range(2)]

    assert (came, [bytes(each.body) for each in origin.calls]) == ([200] * 2, [b"{}"] * 2)


def test_no_filter_leaves_the_parameters(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes
) -> None:
    opa.says(ALLOWED | {"filtered_parameters": None})

    sidecar.ask(call(body))

    assert [bytes(each.body) for each in origin.calls] == [body]


async def hang_up(visit: Visit) -> None:
    await visit.read()
    visit.reset()


async def drip(visit: Visit) -> None:
    """Never quite silent, never done."""
    await visit.read()
    await visit.send(message(b"HTTP/1.1 200 OK", b"Content-Length: 1000"))
    for _ in range(100):
        await visit.send(b" ")
        await asyncio.sleep(0.1)


def said(octets: bytes) -> Script:
    length = b"Content-Length: %d" % len(octets)
    return answers(message(b"HTTP/1.1 200 OK", JSON, length, body=octets))


def spelled(status: bytes, *fields: bytes) -> Script:
    allowed = b'{"result":{"allow":true}}'
    length = b"Content-Length: %d" % len(allowed)
    return answers(message(b"HTTP/1.1 " + status, JSON, *fields, length, body=allowed))


@pytest.mark.parametrize(
    "script",
    [
        never,
        drip,
        hang_up,
        said(b""),
        said(b"rubbish"),
        said(b"{}"),
        said(b"[]"),
        said(b"null"),
        said(b'{"result":null}'),
        said(b'{"result":{}}'),
        said(b'{"result":{"allow":1}}'),
        said(b'{"result":{"allow":"true"}}'),
        said(b'{"result":{"allow":null}}'),
        said(b'{"result":{"allow":false,"allow":true}}'),
        said(b'{"result":{"allow":true}}x'),
        said(b'{"result":{"allow":true,"filtered_parameters":[]}}'),
        said(b'{"result":{"allow":true,"filtered_parameters":"x"}}'),
        said(b'{"result":{"allow":true,"filtered_parameters":{"a":1,"a":2}}}'),
        said(b'{"result":{"allow":true}}' + b" " * (8 * MIB)),
        said(b'{"result":' + b"[" * 100_000),
        spelled(b"500 Oh"),
        spelled(b"302 There", b"Location: /v1/data/mcp/allow"),
        spelled(b"404 None"),
        spelled(b"201 Made"),
        answers(b"HTTP/9.9 what\r\n\r\n", close=True),
        said(b'{"result":{"allow":false}}'),
    ],
    ids=[
        "silent", "drips", "hangs-up", "empty", "rubbish", "no-result", "array", "null",
        "undefined", "no-allow", "one", "text", "allow-null", "both", "trailing",
        "filtered-array", "filtered-text", "filtered-repeated", "large", "deep", "500",
        "redirect", "404", "201", "no-http", "denies",
    ],
)  # fmt: skip
def test_what_is_not_a_plain_yes_is_a_no(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes, script: Script
) -> None:
    opa.script = script
    started_at = time.monotonic()

    answer = sidecar.ask(call(body))

    assert (answer.status, origin.calls) == (403, []), answer
    assert problem_of(answer)["code"] == "forbidden"
    assert time.monotonic() - started_at < 5
    assert len(opa.calls) <= 2


def test_failure_to_judge_is_not_remembered(sidecar: Sidecar, opa: OpaServer, body: bytes) -> None:
    opa.script = hang_up
    refused = sidecar.ask(call(body))
    opa.says(ALLOWED)

    assert refused.status == 403
    assert eventually(lambda: sidecar.ask(call(body)).status == 200)


@pytest.mark.parametrize(("level", "questions"), [("low", 1), ("high", 1), ("critical", 3)])
def test_decisions_are_remembered_unless_critical(
    sidecar: Sidecar, opa: OpaServer, body: bytes, level: str, questions: int
) -> None:
    came = [sidecar.ask(call(body, target=f"/tools/o.{level}")).status for _ in range(3)]

    assert (came, len(opa.calls)) == ([200] * 3, questions)


def test_one_callers_decision_is_never_anothers(
    sidecar: Sidecar, opa: OpaServer, body: bytes
) -> None:
    opa.decides(lambda asked: {"allow": "team-ann" in repr(asked["user"])})
    bobs = post("/tools/o.call", JSON, BOB, body=body)

    came = [sidecar.ask(each).status for each in (call(body), bobs, call(body), bobs)]

    assert came == [200, 403, 200, 403]


@pytest.mark.parametrize("level", ["low", "critical"])
def test_other_parameters_are_another_question(
    sidecar: Sidecar, opa: OpaServer, level: str
) -> None:
    opa.decides(lambda asked: {"allow": asked["tool"]["parameters"].get("a") is True})
    target = f"/tools/o.{level}"
    bodies = [b'{"a":true}', b'{"a":1}', b'{"a":1.0}', b'{"a":"true"}', b'{"a":null}', b"{}"]

    came = [sidecar.ask(call(each, target=target)).status for each in bodies * 2]

    assert came == [200, 403, 403, 403, 403, 403] * 2


def test_forged_fields_say_nothing_to_the_policy(
    sidecar: Sidecar, opa: OpaServer, body: bytes
) -> None:
    forged = (b"X-Forwarded-For: 6.6.6.6", b"X-User: root", b"Authorization: Bearer of-ann")

    sidecar.ask(call(body, *forged))

    assert not {"6.6.6.6", "root"} & set(repr(opa.inputs).split("'"))


def test_key_is_judged_each_time_and_called_once(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes
) -> None:
    key = b"Idempotency-Key: " + body.hex().encode()
    first = sidecar.ask(call(body, key, target="/tools/o.critical"))
    again = sidecar.ask(call(body, key, target="/tools/o.critical"))
    opa.says({"allow": False})
    denied = sidecar.ask(call(body, key, target="/tools/o.critical"))
    opa.says(ALLOWED)
    after = sidecar.ask(call(body, key, target="/tools/o.critical"))

    assert [each.status for each in (first, again, denied, after)] == [200, 200, 403, 200]
    assert [each.value("idempotency-replayed") for each in (again, after)] == ["true"] * 2
    assert len(origin.calls) == 1


def test_refusal_under_a_key_is_not_kept(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes
) -> None:
    key = b"Idempotency-Key: " + body.hex().encode()
    opa.says({"allow": False})
    denied = sidecar.ask(call(body, key, target="/tools/o.critical"))
    opa.says(ALLOWED)
    answer = sidecar.ask(call(body, key, target="/tools/o.critical"))

    assert (denied.status, answer.status, len(origin.calls)) == (403, 200, 1)


def test_key_on_a_filtered_call_is_the_key_of_what_was_sent(
    sidecar: Sidecar, origin: Origin, opa: OpaServer, body: bytes
) -> None:
    key = b"Idempotency-Key: " + body.hex().encode()
    opa.says(ALLOWED | {"filtered_parameters": {}})

    came = [
        sidecar.ask(call(body, key)),
        sidecar.ask(call(body, key)),
        sidecar.ask(call(b'{"other":1}', key)),
    ]

    assert [each.status for each in came] == [200, 200, 422]
    assert [bytes(each.body) for each in origin.calls] == [b"{}"]


def test_reason_is_told_and_no_parameter_is(sidecar: Sidecar, opa: OpaServer, body: bytes) -> None:
    opa.says({"allow": False, "audit_reason": "only on weekdays", "audit_id": "a-1"})

    answer = sidecar.ask(call(b'{"s3cret":%s}' % body))

    events = sidecar.ask(
        message(
            b"GET /events?format=json&event_type=authorization_denied HTTP/1.1", b"Host: a", ANN
        )
    )
    assert (answer.status, b"s3cret" in events.body, b"of-ann" in events.body) == (
        403,
        False,
        False,
    )
