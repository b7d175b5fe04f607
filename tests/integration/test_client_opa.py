"""With an OPA, a call is made as it allows; without its word, none is."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from proxy.client import (
    OPAClient,
    PermissionError,  # noqa: A004 - the client's own
    Question,
)
from tests.support.client_gateway import Gateway, Script, answer, cut, silence, tool_row
from tests.support.client_patience import quick_client
from tests.support.ports import refusing_port

PATH = "/v1/data/mcp/allow"
INVOKE = "/api/v1/invoke"


def decides(*, allow: object = True, **keys: object) -> Script:
    return answer({"result": {"allow": allow, **keys}})


def sent(gateway: Gateway) -> Any:
    return orjson.loads(gateway.bodies[-1])


async def invoke(gateway: Gateway, parameters: Mapping[str, object], **options: Any) -> object:
    async with quick_client(gateway.url, opa_client=OPAClient(gateway.url)) as client:
        return await client.invoke_tool("s", "t", parameters, **options)


async def test_question_is_the_contracts() -> None:
    asked: list[Any] = []

    async def script(request: Any) -> Any:
        asked.append(orjson.loads(await request.read()))
        return await decides()(request)

    async with Gateway() as gateway:
        gateway.plays(PATH, script)
        await invoke(gateway, {"a": 1}, user_token="jwt")  # noqa: S106 - of a test

    question = asked[0]["input"]
    context = question.pop("context")
    assert question == {
        "user": {"token": "jwt"},
        "action": "gateway:tool:invoke",
        "tool": {"name": "t", "parameters": {"a": 1}},
        "server": {"name": "s"},
    }
    assert sorted(context) == ["client_ip", "request_id", "timestamp"]


@pytest.mark.parametrize("filtered", [{}, {"query": "x"}], ids=["nothing", "something"])
async def test_filtered_parameters_replace_what_was_given(filtered: dict[str, object]) -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides(filtered_parameters=filtered))
        await invoke(gateway, {"password": "secret"})

    assert sent(gateway)["parameters"] == filtered


async def test_without_filter_the_parameters_stay() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides(filtered_parameters=None))
        await invoke(gateway, {"a": 1})

    assert sent(gateway)["parameters"] == {"a": 1}


async def test_denial_gives_its_reason_and_calls_nothing() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides(allow=False, audit_reason="not on Sundays", audit_id="a-1"))
        with pytest.raises(PermissionError, match=r"^The policy denies s\.t: not on Sundays$") as e:
            await invoke(gateway, {})

    assert (e.value.code, e.value.body) == ("policy_denied", {"audit_id": "a-1"})
    assert gateway.count(INVOKE) == 0


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer({}), id="no-result"),
        pytest.param(answer({"result": True}), id="bare-truth"),
        pytest.param(answer([]), id="a-list"),
        pytest.param(decides(allow="yes"), id="truthy"),
        pytest.param(decides(filtered_parameters=[1]), id="filter-is-no-object"),
        pytest.param(answer({"result": {"allow": True}}, 500), id="500"),
        pytest.param(answer({"result": {"allow": True}}, 302), id="redirect"),
        pytest.param(answer("x" * (2 << 20)), id="too-much"),
        pytest.param(cut, id="broken-off"),
    ],
)
async def test_answer_that_is_no_decision_denies(script: Script) -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, script)
        with pytest.raises(PermissionError, match=r"The policy denies s\.t: OPA"):
            await invoke(gateway, {})

    assert gateway.count(INVOKE) == 0


async def test_slow_answer_denies_in_its_time() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, silence)
        opa = OPAClient(gateway.url, timeout=0.05)
        async with quick_client(gateway.url, opa_client=opa) as client:
            with pytest.raises(PermissionError, match=r"OPA did not end within 0\.05 s"):
                await client.invoke_tool("s", "t", {})


async def test_opa_that_is_not_there_denies() -> None:
    with refusing_port() as port:
        async with Gateway() as gateway:
            opa = OPAClient(f"http://127.0.0.1:{port}")
            async with quick_client(gateway.url, opa_client=opa) as client:
                with pytest.raises(PermissionError, match="OPA did not answer"):
                    await client.invoke_tool("s", "t", {})


@pytest.mark.parametrize(
    ("sensitivity", "asked"), [("low", 1), ("medium", 1), ("high", 1), ("critical", 3), (None, 3)]
)
async def test_decision_is_kept_as_the_sensitivity_allows(
    sensitivity: str | None, asked: int
) -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides())
        opa = OPAClient(gateway.url)
        for _ in range(3):
            await opa.require(
                Question(server="s", tool="t", parameters={}, sensitivity=sensitivity)
            )
        await opa.close()

    assert gateway.count(PATH) == asked


async def test_decision_is_for_exactly_this_input() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides())
        opa = OPAClient(gateway.url)
        users: list[dict[str, object]] = [{"token": "a"}, {"token": "b"}]
        for user in users:
            for tool in ("t", "u"):
                for parameters in ({}, {"a": 1}):
                    await opa.require(
                        Question(
                            server="s",
                            tool=tool,
                            parameters=parameters,
                            user=user,
                            sensitivity="low",
                        )
                    )
        await opa.close()

    assert gateway.count(PATH) == 8


async def test_outage_is_not_kept() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, answer({}, 500), decides())
        opa = OPAClient(gateway.url)
        question = Question(server="s", tool="t", parameters={}, sensitivity="low")
        first, second = [await opa.authorize(question) for _ in range(2)]
        await opa.close()

    assert (first.allow, second.allow) == (False, True)


async def test_client_keeps_decisions_of_tools_whose_level_a_list_told() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides())
        gateway.tools = [tool_row("s", "t", sensitivity_level="low")]
        async with quick_client(gateway.url, opa_client=OPAClient(gateway.url)) as client:
            await client.list_tools()
            for _ in range(3):
                await client.invoke_tool("s", "t", {})
                await client.invoke_tool("s", "unknown", {})

    assert gateway.count(PATH) == 1 + 3


async def test_closed_opa_client_can_be_asked_again() -> None:
    async with Gateway() as gateway:
        gateway.plays(PATH, decides())
        opa = OPAClient(gateway.url)
        for _ in range(2):
            await opa.require(Question(server="s", tool="t", parameters={}))
            await opa.close()

    assert gateway.count(PATH) == 2


def test_nothing_of_it_shows_secrets() -> None:
    question = Question(server="s", tool="t", parameters={"p": "secret"}, user={"token": "secret"})

    assert "secret" not in repr(question)
