# ruff: noqa: INP001, T201 - a script to read and to start, and it prints
"""chora-compose's guide, steps 1 to 4, through the sidecar. Start both from the same folder.

    toolproxy run -c conf/chora/proxy.yaml
    python conf/chora/walkthrough.py              # chora-compose listens on port 8000
    python conf/chora/walkthrough.py --stand-in   # it does not: this answers in its place

All that is asked here is plain HTTP. `proxy.client.GatewayClient` asks the same for you.
"""

import argparse
import asyncio
import sys
import uuid
from typing import Any

import aiohttp
from aiohttp import web

READY_WITHIN_S = 30


async def discover(sidecar: aiohttp.ClientSession) -> None:
    """Step 1: what is this, and what can it do?"""
    server = await read(sidecar, "/capabilities/server")
    print(f"Server: {server['name']} {server['version']}, {server['tool_count']} tools")
    print("Features:", ", ".join(name for name, on in server["features"].items() if on))
    print("Limits:", server["limits"])


async def look_at_generators(sidecar: aiohttp.ClientSession) -> None:
    """Step 2: what does each tool need of the world, and is it there?"""
    generators = (await read(sidecar, "/capabilities/generators"))["generators"]
    for name, generator in generators.items():
        needs = generator["upstream_dependencies"] or {}
        print(f"Generator: {name}, available: {generator['available']}")
        print(f"  Credentials: {needs.get('credentials_required', [])}")
        print(f"  Expected latency: {needs.get('expected_latency_ms', {})}")


async def try_limits(sidecar: aiohttp.ClientSession) -> None:
    """Step 2, too: nobody has to check credentials or set a timeout; the sidecar does both."""
    # 424 without ANTHROPIC_API_KEY in the sidecar's environment; chora-compose is not even asked.
    await call(sidecar, "chora.generate_code", config_id="readme-code")
    # The stand-in takes 5 s for this: 504 after 0.5 s, twice the p95 of the registry.
    await call(sidecar, "chora.assemble_artifact", config_id="readme-full", wait_s=5)


async def run_workflow(sidecar: aiohttp.ClientSession) -> None:
    """Step 3: several calls under one trace id, which the session sends (see `main`)."""
    await call(sidecar, "chora.generate_content", config_id="readme-intro")
    await call(sidecar, "chora.generate_content", config_id="readme-body")
    await call(sidecar, "chora.assemble_artifact", config_id="readme-full")


async def read_events(sidecar: aiohttp.ClientSession, trace_id: str) -> None:
    """Step 4: what happened under this trace id, one by one and added up."""
    told = await read(sidecar, f"/events?format=json&trace_id={trace_id}")
    for event in told["events"]:
        print(f"  {event['timestamp']} {event['tool_name']}: {event['status']}")
    summary = await read(sidecar, f"/events/{trace_id}/summary")
    print(f"Events: {summary['total_events']}, by type {summary['by_type']}")
    print(f"Success: {summary['success_count']}, errors: {summary['error_count']}")
    print(f"Total duration: {summary['total_duration_ms']} ms")
    for error in summary["errors"]:
        print(f"  Error: {error}")


async def call(sidecar: aiohttp.ClientSession, tool: str, **arguments: object) -> None:
    async with sidecar.post(f"/tools/{tool}", json=arguments) as answer:
        said = await answer.text()
    print(f"{tool}: {answer.status} {said}")


async def read(sidecar: aiohttp.ClientSession, path: str) -> dict[str, Any]:
    async with sidecar.get(path, raise_for_status=True) as answer:
        document: dict[str, Any] = await answer.json()
        return document


async def until_ready(sidecar: aiohttp.ClientSession) -> None:
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                if (await read(sidecar, "/health"))["status"] == "healthy":
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        sys.exit("chora-compose does not answer the sidecar; without one, say --stand-in")
    except aiohttp.ClientError as error:
        sys.exit(f"The sidecar does not answer ({error}); is it started?")


async def stand_in(port: int) -> web.AppRunner:
    """A server with chora-compose's tools that do nothing, as slowly as they are told to."""

    async def tool(request: web.Request) -> web.Response:
        arguments = await request.json()
        await asyncio.sleep(arguments.get("wait_s", 0))
        return web.json_response({"config_id": arguments["config_id"], "content": "…"})

    app = web.Application()
    app.router.add_post("/tools/{tool}", tool)
    # The sidecar hangs up on who is too slow: then there is nobody to go on for.
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner


async def main() -> None:
    parser = argparse.ArgumentParser(description="chora-compose's guide, through the sidecar")
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="of the sidecar")
    parser.add_argument("--stand-in", type=int, nargs="?", const=8000, metavar="PORT")
    options = parser.parse_args()
    runner = None if options.stand_in is None else await stand_in(options.stand_in)
    trace_id = f"workflow-{uuid.uuid4()}"
    headers = {"X-Chora-Trace-Id": trace_id}  # in place of the variable CHORA_TRACE_ID
    try:
        async with aiohttp.ClientSession(options.url, headers=headers) as sidecar:
            await until_ready(sidecar)
            print("== 1. Discover")
            await discover(sidecar)
            print("== 2. Dependencies")
            await look_at_generators(sidecar)
            await try_limits(sidecar)
            print(f"== 3. One workflow: {trace_id}")
            await run_workflow(sidecar)
            print("== 4. Its events")
            await read_events(sidecar, trace_id)
    finally:
        if runner is not None:
            await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
