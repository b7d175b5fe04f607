"""The FastAPI + httpx gateway itself, as such gateways are commonly made; run under uvicorn.

`UPSTREAM` in the environment says where the tools are.
"""

import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from typing import Final

import httpx
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from benchmarks.peers.tools import TOOLS

_UPSTREAM: Final = f"http://{os.environ['UPSTREAM']}"
_URLS: Final = {f"bench.{tool}": f"{_UPSTREAM}/tools/{tool}" for tool in TOOLS}


@contextlib.asynccontextmanager
async def _one_client(app: FastAPI) -> AsyncIterator[None]:
    # Kinder than httpx's default, which keeps only 20 of 32 connections.
    limits = httpx.Limits(max_keepalive_connections=None, max_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        app.state.client = client
        yield


async def call(name: str, request: Request) -> JSONResponse:
    """Parse the arguments, look the tool up, post them, parse the answer, answer."""
    url = _URLS.get(name)
    if url is None:
        raise HTTPException(404, f"Tool not found: {name}")
    client: httpx.AsyncClient = request.app.state.client
    headers = {"X-Request-Id": uuid.uuid4().hex}
    answer = await client.post(url, json=await request.json(), headers=headers)
    return JSONResponse(answer.json(), answer.status_code)


app = FastAPI(lifespan=_one_client)
app.add_api_route("/tools/{name}", call, methods=["POST"])
