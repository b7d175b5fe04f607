"""Facts about verdicts that are used again: for how long, by whom, and at the same time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.admission.opa import Question
from tests.support.naming import until
from tests.support.opa_scene import ALLOWED, CRITICAL, QUESTION, Scene, denied
from tests.support.opa_server import Input, never, result_of
from tests.support.origin import Visit
from tests.support.scripts import answers


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Scene() as scene:
        yield scene


# --- what is remembered ---


@pytest.mark.parametrize(
    ("level", "result", "kept_for_s"),
    [
        pytest.param("low", True, 1800, id="low"),
        pytest.param("medium", True, 300, id="medium"),
        pytest.param("high", True, 60, id="high"),
        pytest.param("low", False, 5, id="denial"),
    ],
)
async def test_verdict_is_kept_as_long_as_its_level_allows(
    scene: Scene, level: str, result: object, kept_for_s: float
) -> None:
    scene.server.says(result)
    question = QUESTION._replace(sensitivity=level)
    asked: list[int] = []

    for now in (0.0, kept_for_s - 0.1, kept_for_s):
        scene.clock.now = now
        await scene.opa.judge(question._replace(request_id=str(now), timestamp=str(now)))
        asked.append(len(scene.server.calls))

    assert asked == [1, 1, 2]


async def test_verdict_grows_old_from_when_it_was_asked_for(scene: Scene) -> None:
    def slowly(_: Input) -> object:
        scene.clock.now = 299.0
        return True

    scene.server.decides(slowly)
    await scene.opa.judge(QUESTION)

    scene.clock.now = 300.0

    await scene.opa.judge(QUESTION)
    assert len(scene.server.calls) == 2


@pytest.mark.parametrize("result", [True, False])
async def test_what_is_critical_is_decided_each_time(scene: Scene, *, result: bool) -> None:
    scene.server.says(result)

    await asyncio.gather(*(scene.opa.judge(CRITICAL) for _ in range(3)))

    assert len(scene.server.calls) == 3


@pytest.mark.parametrize(
    "other",
    [
        QUESTION._replace(user={**QUESTION.user, "id": "bob"}),
        QUESTION._replace(user={**QUESTION.user, "teams": []}),
        QUESTION._replace(user={**QUESTION.user, "application": None}),
        QUESTION._replace(server="files"),
        QUESTION._replace(tool="drop"),
        QUESTION._replace(sensitivity="low"),
        QUESTION._replace(parameters={}),
        QUESTION._replace(client_ip="10.0.0.2"),
    ],
    ids=["subject", "teams", "application", "server", "tool", "level", "parameters", "address"],
)
async def test_one_caller_s_verdict_is_never_another_s(scene: Scene, other: Question) -> None:
    await scene.opa.judge(QUESTION)
    scene.server.says(result=False)

    both = [await scene.opa.judge(other), await scene.opa.judge(QUESTION)]

    assert both == [denied("denied by policy"), ALLOWED]


async def test_who_changes_the_parameters_they_got_changes_nobody_else_s(scene: Scene) -> None:
    scene.server.says({"allow": True, "filtered_parameters": {"a": []}})
    first = await scene.opa.judge(QUESTION)
    assert first.filtered is not None

    first.filtered["a"] = "changed"

    assert (await scene.opa.judge(QUESTION)).filtered == {"a": []}


# --- who asks the same at the same time ---


async def test_equal_questions_are_one_request(scene: Scene) -> None:
    verdicts = await asyncio.gather(
        *(scene.opa.judge(QUESTION._replace(request_id=str(number))) for number in range(9))
    )

    assert (verdicts, len(scene.server.calls)) == ([ALLOWED] * 9, 1)


async def test_first_one_may_leave_without_the_others(scene: Scene) -> None:
    answer = asyncio.Event()

    async def when_told(visit: Visit) -> None:
        await answer.wait()
        await answers(result_of(result=True))(visit)

    scene.server.script = when_told
    async with asyncio.TaskGroup() as group:
        first, second = (group.create_task(scene.opa.judge(QUESTION)) for _ in range(2))
        await until(lambda: bool(scene.server.calls))
        first.cancel()
        await until(first.done)
        answer.set()

    assert (first.cancelled(), second.result(), len(scene.server.calls)) == (True, ALLOWED, 1)


async def test_who_leaves_a_critical_question_ends_it(scene: Scene) -> None:
    scene.server.script = never
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(scene.opa.judge(CRITICAL))
        await until(lambda: bool(scene.server.calls))
        asking.cancel()

    await until(lambda: not scene.server.open_connections)
    assert asking.cancelled()
