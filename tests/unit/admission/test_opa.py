"""Facts about asking OPA: what is asked, what an answer means, and how it ends."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from proxy.admission.opa import Question, UndecidedError, Verdict, judgement_of
from tests.support.messages import ok
from tests.support.naming import until
from tests.support.opa_scene import ALLOWED, CRITICAL, QUESTION, Scene, denied, failed
from tests.support.opa_server import never, result_of
from tests.support.scripts import answers, in_turn, sends_and_resets


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Scene() as scene:
        yield scene


# --- what is asked ---


async def test_question_is_what_opa_s_data_api_takes(scene: Scene) -> None:
    await scene.opa.judge(QUESTION)

    [call] = scene.server.calls
    assert (call.method, call.target) == (b"POST", b"/v1/data/mcp/allow")
    assert call.value("content-type") == "application/json"
    assert scene.server.inputs == [
        {
            "user": {"id": "ann", "teams": ["data"], "application": "notebook"},
            "action": "gateway:tool:invoke",
            "tool": {"name": "query", "parameters": {"sql": "SELECT 1"}},
            "server": {"name": "postgres"},
            "context": {
                "timestamp": "2026-01-01T12:00:00Z",
                "request_id": "r-1",
                "client_ip": "10.0.0.1",
            },
        }
    ]


@pytest.mark.parametrize("base", ["", "/", "/opa/"])
async def test_path_is_asked_below_the_url(scene: Scene, base: str) -> None:
    opa = scene.asks(scene.server.url + base, path="/v1/data/tools")

    await opa.judge(QUESTION)

    assert scene.server.calls[0].target.decode() == f"{base.rstrip('/')}/v1/data/tools"


async def test_numbers_of_any_size_are_asked_and_answered_unchanged(scene: Scene) -> None:
    scene.server.decides(
        lambda asked: {"allow": True, "filtered_parameters": asked["tool"]["parameters"]}
    )
    parameters: dict[str, object] = {"n": 2**70 + 1, "f": 0.1}

    verdict = await scene.opa.judge(QUESTION._replace(parameters=parameters))

    assert b'{"n":1180591620717411303425,"f":0.1}' in scene.server.calls[0].body
    assert verdict.filtered == parameters


async def test_body_as_large_as_may_be_is_asked(scene: Scene) -> None:
    question = QUESTION._replace(parameters={"text": "x" * 2**20})

    verdict = await scene.opa.judge(question)

    assert (verdict, len(scene.server.inputs[0]["tool"]["parameters"]["text"])) == (ALLOWED, 2**20)


def test_opa_is_asked_for_all_servers_or_for_those_that_are_named(scene: Scene) -> None:
    everywhere, somewhere = (
        scene.asks("http://opa"),
        scene.asks("http://opa", servers=("postgres",)),
    )

    assert (everywhere.asks_for("postgres"), everywhere.asks_for("files")) == (True, True)
    assert (somewhere.asks_for("postgres"), somewhere.asks_for("files")) == (True, False)


# --- what an answer means ---


@pytest.mark.parametrize(
    ("result", "verdict"),
    [
        pytest.param(True, ALLOWED, id="true"),
        pytest.param(False, denied("denied by policy"), id="false"),
        pytest.param({"allow": True, "audit_id": "a-1"}, ALLOWED._replace(audit_id="a-1"), id="id"),
        pytest.param({"allow": True, "filtered_parameters": None}, ALLOWED, id="not-filtered"),
        pytest.param(
            {"allow": True, "filtered_parameters": {}}, ALLOWED._replace(filtered={}), id="to-none"
        ),
        pytest.param(
            {"allow": True, "filtered_parameters": {"a": [1]}, "more": 1},
            ALLOWED._replace(filtered={"a": [1]}),
            id="filtered",
        ),
        pytest.param(
            {"allow": False, "audit_reason": "not yours", "audit_id": "a-2"},
            denied("not yours", "a-2"),
            id="reason",
        ),
        pytest.param(
            {"allow": False, "audit_reason": 7, "filtered_parameters": 7},
            denied("denied by policy"),
            id="denied-oddly",
        ),
        pytest.param(
            {"allow": False, "audit_reason": "a\r\nb\x1b" + 500 * "c", "audit_id": 500 * "d"},
            denied("a  b " + 195 * "c", 128 * "d"),
            id="unprintable-and-long",
        ),
        pytest.param({}, denied("no rule of the policy decides about this call"), id="undefined"),
    ],
)
async def test_answer_is_a_verdict(scene: Scene, result: object, verdict: Verdict) -> None:
    scene.server.says(result)

    assert await scene.opa.judge(QUESTION) == verdict


async def test_answer_without_a_result_denies(scene: Scene) -> None:
    scene.server.script = answers(ok(b'{"decision_id":"d-1"}'))

    verdict = await scene.opa.judge(QUESTION)

    assert verdict == denied("no rule of the policy decides about this call", "d-1")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(b"", "answer is empty", id="empty"),
        pytest.param(b"yes", "not one plain JSON object", id="no-json"),
        pytest.param(b"[true]", "not one plain JSON object", id="list"),
        pytest.param(b'{"result":false,"result":true}', "not one plain JSON object", id="twice"),
        pytest.param(b'{"result":"true"}', "neither an object nor", id="text"),
        pytest.param(b'{"result":null}', "neither an object nor", id="null"),
        pytest.param(b'{"result":1}', "neither an object nor", id="number"),
        pytest.param(b'{"result":{"allow":1}}', "allow is neither", id="allow-number"),
        pytest.param(b'{"result":{"allow":"true"}}', "allow is neither", id="allow-text"),
        pytest.param(b'{"result":{"allow":null}}', "allow is neither", id="allow-null"),
        pytest.param(
            b'{"result":{"allow":true,"filtered_parameters":[]}}', "not an object", id="filtered"
        ),
        pytest.param(
            b'{"result":{"allow":true,"filtered_parameters":false}}', "not an object", id="dropped"
        ),
    ],
)
def test_answer_that_is_no_clear_yes_or_no_is_no_judgement(answer: bytes, why: str) -> None:
    with pytest.raises(UndecidedError, match=why):
        judgement_of(answer)


# --- connections ---


async def test_connection_is_used_again(scene: Scene) -> None:
    for _ in range(3):
        await scene.opa.judge(CRITICAL)

    assert (len(scene.server.calls), len(scene.server.connections)) == (3, 1)


async def test_question_is_repeated_when_its_connection_ends(scene: Scene) -> None:
    yes = answers(result_of(result=True))
    scene.server.script = in_turn(yes, sends_and_resets(b""), yes)
    await scene.opa.judge(CRITICAL)

    verdict = await scene.opa.judge(CRITICAL)

    assert (verdict, len(scene.server.calls), len(scene.server.connections)) == (ALLOWED, 3, 2)


async def test_question_is_repeated_once(scene: Scene) -> None:
    scene.server.script = sends_and_resets(b"")

    verdict = await scene.opa.judge(CRITICAL)

    assert (verdict, len(scene.server.calls)) == (failed(verdict.reason), 2)


# --- the end ---


@pytest.mark.parametrize("question", [QUESTION, CRITICAL], ids=["medium", "critical"])
async def test_who_still_waits_at_the_end_is_told_no(scene: Scene, question: Question) -> None:
    scene.server.script = never
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.opa.judge(question))
        await until(lambda: bool(scene.server.calls))
        await scene.opa.close()

    assert asking.result() == failed("the sidecar stops")
    assert repr(scene.opa) == "<Opa <Judgements 0, 0 bytes>, 0 asked>"


@pytest.mark.parametrize("question", [QUESTION, CRITICAL], ids=["medium", "critical"])
async def test_nothing_is_asked_after_the_end(scene: Scene, question: Question) -> None:
    await scene.opa.close()

    verdict = await scene.opa.judge(question)

    assert (verdict, scene.server.connections) == (failed("the sidecar stops"), [])


async def test_nothing_of_parameters_is_logged_or_shown(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    question = QUESTION._replace(parameters={"password": "hunter2"})
    echo = ok(b'{"password":"hunter2"} and more')
    scene.server.script = in_turn(answers(echo), answers(b"hunter2\r\n\r\n", close=True), never)

    shown = [(await scene.opa.judge(question)).reason for _ in range(2)] + [repr(scene.opa)]

    assert "hunter2" not in caplog.text + "".join(shown)
