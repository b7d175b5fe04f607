"""Facts about an OPA that does not decide: slow, gone or rude, it denies, and in time."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from proxy.admission.opa import Opa, Question, Verdict
from tests.support.messages import message, ok
from tests.support.naming import until
from tests.support.opa_scene import CRITICAL, QUESTION, Scene, failed
from tests.support.opa_server import never, result_of
from tests.support.ports import refusing_port, silent_port
from tests.support.scripts import answers, in_turn

PATIENCE_S: Final = 0.2
NOT_IN_TIME: Final = failed(f"OPA did not answer within {PATIENCE_S:g} s")


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Scene() as scene:
        yield scene


async def judged_in_time(opa: Opa, question: Question = QUESTION) -> Verdict:
    """The verdict, no later than ten times after it must be there."""
    async with asyncio.timeout(10 * PATIENCE_S):
        return await opa.judge(question)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        pytest.param(ok(b"yes"), "OPA's answer is not one plain JSON object", id="rubbish"),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "OPA can't be asked: ", id="another-protocol"),
        pytest.param(
            message(b"HTTP/1.1 500 Oops", b"Content-Length: 0"),
            "OPA answered with status 500",
            id="error",
        ),
        pytest.param(
            ok(bytes(4 * 2**20 + 1)), "OPA's answer has more than 4194304 bytes", id="endless"
        ),
        pytest.param(
            ok(b"\x1f\x8b rubbish", b"Content-Encoding: gzip"),
            "OPA's answer is not one plain JSON object",
            id="packed",
        ),
    ],
)
async def test_rubbish_denies(scene: Scene, answer: bytes, why: str) -> None:
    scene.server.script = answers(answer, close=True)

    verdict = await scene.opa.judge(QUESTION)

    assert (verdict.reason.startswith(why), verdict) == (True, failed(verdict.reason))


async def test_redirect_is_not_followed(scene: Scene) -> None:
    away = message(b"HTTP/1.1 307 Away", b"Location: /v1/data/other", b"Content-Length: 0")
    scene.server.script = in_turn(answers(away), answers(result_of(result=True)))

    verdict = await scene.opa.judge(QUESTION)

    assert (verdict, len(scene.server.calls)) == (failed("OPA answered with status 307"), 1)


async def test_silence_denies_in_time(scene: Scene) -> None:
    scene.server.script = never

    assert await judged_in_time(scene.asks(timeout_s=PATIENCE_S)) == NOT_IN_TIME


async def test_answer_that_never_ends_denies_in_time(scene: Scene) -> None:
    scene.server.script = answers(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"result":')

    assert await judged_in_time(scene.asks(timeout_s=PATIENCE_S)) == NOT_IN_TIME


async def test_handshake_that_never_ends_denies_in_time(scene: Scene) -> None:
    with silent_port() as port:
        opa = scene.asks(f"http://127.0.0.1:{port}", PATIENCE_S)

        assert await judged_in_time(opa) == NOT_IN_TIME


async def test_who_waits_for_a_free_connection_is_denied_in_time(scene: Scene) -> None:
    scene.server.script = never
    opa = scene.asks(timeout_s=PATIENCE_S)
    crowd = [CRITICAL._replace(tool=str(number)) for number in range(50)]

    verdicts = await asyncio.gather(*(judged_in_time(opa, each) for each in crowd))

    assert verdicts == [NOT_IN_TIME] * 50


async def test_no_more_than_32_connections_are_held(scene: Scene) -> None:
    scene.server.script = never
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(scene.opa.judge(CRITICAL._replace(tool=str(number))))
            for number in range(50)
        ]
        await until(lambda: len(scene.server.calls) == 32)
        held = len(scene.server.connections)
        for each in asking:
            each.cancel()

    assert held == 32


async def test_nobody_there_denies(scene: Scene) -> None:
    with refusing_port() as port:
        verdict = await judged_in_time(scene.asks(f"http://127.0.0.1:{port}"))

    assert verdict == failed(verdict.reason)
    assert verdict.reason.startswith("OPA can't be asked: Connect call failed")


@pytest.mark.parametrize("url", ["http://[::1", "http://127.0.0.1:99999", "http://a..b"])
async def test_url_that_leads_nowhere_denies(scene: Scene, url: str) -> None:
    verdict = await scene.asks(url).judge(QUESTION)

    assert verdict == failed(verdict.reason)
    assert verdict.reason.startswith("OPA can't be asked: ")


@pytest.mark.parametrize("question", [QUESTION, CRITICAL], ids=["medium", "critical"])
async def test_what_has_no_json_denies(scene: Scene, question: Question) -> None:
    verdict = await scene.opa.judge(question._replace(user={"id": "\ud800"}))

    assert verdict == failed("OPA can't be asked: UnicodeEncodeError")


async def test_parameters_nested_deeper_than_the_stack_are_denied(scene: Scene) -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"a": deep}

    for question in (QUESTION, CRITICAL):
        verdict = await scene.opa.judge(question._replace(parameters=deep))

        assert verdict == failed("OPA can't be asked: RecursionError")


async def test_opa_that_comes_back_is_asked_again_at_once(scene: Scene) -> None:
    scene.server.script = in_turn(answers(b"rubbish", close=True), answers(result_of(result=True)))

    verdicts = [await scene.opa.judge(QUESTION), await scene.opa.judge(QUESTION)]

    assert [each.allow for each in verdicts] == [False, True]
