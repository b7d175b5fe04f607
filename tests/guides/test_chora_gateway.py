"""Does the gateway of the chora-compose guide (its step 5) work through the sidecar?

Changed are its URL and its trace line, which sets a header in place of a variable of the process.
Its `ClientSession` is made for it, since the package has none of that shape.
"""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import mcp
import orjson
import pytest

from tests.support.guide_blocks import kept
from tests.support.guide_chora import ChoraServer, served, sessions
from tests.support.guide_runs import Run
from tests.support.sidecar import server
from tests.support.starters import StartSidecar
from tests.support.waiting import eventually

pytestmark = pytest.mark.sockets

BLOCK: Final = kept("chora_blocks.txt")["complete_gateway"].text
URL: Final = "http://localhost:8000"
TRACE_LINE: Final = 'os.environ["CHORA_TRACE_ID"] = trace_id'
OUR_TRACE_LINE: Final = 'trace_headers["X-Chora-Trace-Id"] = trace_id'
JOURNAL: Final = Path("var/telemetry/events.jsonl")
MISSING: Final = """\
❌ Missing credentials for code_generation: ANTHROPIC_API_KEY
Required: ['ANTHROPIC_API_KEY']"""
CALLED: Final = [
    ("readme-intro", {"project_name": "my-project"}),
    ("readme-body", {"features": ["feature1", "feature2"]}),
    ("readme-full", "dist/README.md"),
]


class Scene:
    """chora behind a sidecar, and the guide's gateway in the sidecar's folder."""

    def __init__(self, chora: ChoraServer, gateway_url: str) -> None:
        self.chora = chora
        self.gateway_url = gateway_url
        self.headers: dict[str, str] = {}

    async def run(self) -> Run:
        block = BLOCK.replace(URL, self.gateway_url).replace(TRACE_LINE, OUR_TRACE_LINE)
        run = Run(names={"trace_headers": self.headers})
        return await asyncio.to_thread(run.of, block)  # it has a loop of its own

    @property
    def trace_id(self) -> str:
        return self.headers["X-Chora-Trace-Id"]

    async def events(self, at_least: int) -> list[dict[str, Any]]:
        """Those of the trace, once there are so many: they are written a moment after a call."""

        def written() -> list[dict[str, Any]]:
            lines = JOURNAL.read_bytes().splitlines() if JOURNAL.exists() else []
            found = [orjson.loads(line) for line in lines]
            found = [each for each in found if each["trace_id"] == self.trace_id]
            return found if len(found) >= at_least else []

        return await asyncio.to_thread(eventually, written)


@pytest.fixture
async def scene(
    start_sidecar: StartSidecar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    settings = {"events": {"journal": str(tmp_path / JOURNAL)}}
    chora = ChoraServer()
    async with served(chora.mcp) as url:
        behind = server("chora", url, tools=[], passthrough=["/mcp"])
        sidecar = await asyncio.to_thread(start_sidecar, behind, settings=settings)
        scene = Scene(chora, f"http://127.0.0.1:{sidecar.port}/servers/chora/mcp")
        monkeypatch.setattr(mcp, "ClientSession", sessions(scene.headers))
        yield scene


def test_nothing_but_url_and_trace_line_is_changed() -> None:
    assert (BLOCK.count(URL), BLOCK.count(TRACE_LINE)) == (1, 2)


async def test_the_gateway_discovers_validates_and_works(scene: Scene) -> None:
    run = await scene.run()

    assert scene.chora.called == CALLED
    assert run.said[:5] == [
        "✅ Connected to chora-compose v1.3.0",
        "✅ Discovered 2 generators",
        MISSING,
        "   Using jinja2 fallback instead",
        f"🔍 Starting workflow: {scene.trace_id}",
    ]
    assert run.said.count("  ✅ Success") == len(CALLED)


async def test_a_credential_that_is_there_is_enough(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "a value")

    assert (await scene.run()).heard("^✅ Credentials validated$")


async def test_the_events_have_what_the_gateway_reads(scene: Scene) -> None:
    await scene.run()

    events = await scene.events(at_least=len(CALLED))
    assert {(each["event_type"], each["status"]) for each in events} == {
        ("tool_invoked", "success")
    }
    assert all(each["duration_ms"] > 0 for each in events)


async def test_the_gateway_analyses_its_workflow(scene: Scene) -> None:
    run = await scene.run()
    await scene.events(at_least=len(CALLED))
    run.said.clear()

    events = run.names["ChoraGateway"](scene.gateway_url).analyze_workflow(scene.trace_id)

    assert len(events) >= len(CALLED)
    assert run.said[:4] == [
        f"\n📊 Workflow Analysis: {scene.trace_id}",
        f"   Total Events: {len(events)}",
        f"   Success: {len(events)}",
        "   Errors: 0",
    ]


async def test_one_content_has_a_trace_of_its_own(scene: Scene) -> None:
    run = await scene.run()
    gateway = run.names["ChoraGateway"](scene.gateway_url)

    trace_id, result = await gateway.generate_content("readme-intro", trace_id="mine-1")

    assert (trace_id, scene.trace_id) == ("mine-1", "mine-1")
    assert result.content[0].text == "the content of readme-intro"
    assert await scene.events(at_least=1)
