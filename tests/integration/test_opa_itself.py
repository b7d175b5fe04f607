"""The Open Policy Agent itself, where its binary is: it is asked and understood."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from tests.support.opa_scene import ALLOWED, QUESTION, Scene, denied


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with Scene() as scene:
        yield scene


POLICY: Final = """
package mcp

import rego.v1

default allow := {"allow": false, "audit_reason": "not yours"}

allow := {"allow": true, "filtered_parameters": kept, "audit_id": input.context.request_id} if {
	input.action == "gateway:tool:invoke"
	input.server.name == "postgres"
	"data" in input.user.teams
	kept := object.remove(input.tool.parameters, ["password"])
}
"""


@pytest.fixture
async def real_opa(tmp_path: Path) -> AsyncIterator[str]:
    """The URL of the Open Policy Agent with `POLICY`."""
    command = shutil.which("opa")
    if command is None:
        pytest.skip("no opa on PATH")
    (tmp_path / "mcp.rego").write_text(POLICY)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = await asyncio.create_subprocess_exec(
        command, "run", "--server", "--addr", address, "mcp.rego", cwd=tmp_path
    )
    try:
        await _healthy(f"http://{address}/health")
        yield f"http://{address}"
    finally:
        process.kill()
        await process.wait()


async def _healthy(url: str) -> None:
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.02)


async def test_real_opa_is_understood(scene: Scene, real_opa: str) -> None:
    opa = scene.asks(real_opa)
    parameters: dict[str, object] = {"password": "x", "n": 2**70 + 1}

    yes = await opa.judge(QUESTION._replace(parameters=parameters))
    nothing_left = await opa.judge(QUESTION._replace(parameters={"password": "x"}))
    no = await opa.judge(QUESTION._replace(user={"id": "bob", "teams": []}))

    assert yes == ALLOWED._replace(filtered={"n": 2**70 + 1}, audit_id="r-1")
    assert nothing_left.filtered == {}
    assert no == denied("not yours")


async def test_real_opa_says_nothing_where_no_rule_is(scene: Scene, real_opa: str) -> None:
    verdict = await scene.asks(real_opa, path="/v1/data/other/allow").judge(QUESTION)

    assert verdict == denied("no rule of the policy decides about this call", verdict.audit_id)
