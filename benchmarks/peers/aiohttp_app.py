"""The plain aiohttp proxy itself: `python -m benchmarks.peers.aiohttp_app PORT UPSTREAM`."""

import sys
import uuid
from collections.abc import AsyncIterator

import uvloop
from aiohttp import ClientSession, ClientTimeout, TCPConnector, web

# What a connection says for itself (RFC 9110, 7.6.1).
_OF_THE_CONNECTION = frozenset(
    {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host"}
)
_UPSTREAM = web.AppKey("upstream", str)
_SESSION = web.AppKey("session", ClientSession)


async def call(request: web.Request) -> web.StreamResponse:
    """Pass one call on, and its answer back, as they come."""
    url = f"{request.app[_UPSTREAM]}/tools/{request.match_info['tool']}"
    headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_THE_CONNECTION}
    headers["X-Request-Id"] = uuid.uuid4().hex
    session = request.app[_SESSION]
    async with session.post(url, headers=headers, data=request.content) as answer:
        kept = {k: v for k, v in answer.headers.items() if k.lower() not in _OF_THE_CONNECTION}
        response = web.StreamResponse(status=answer.status, headers=kept)
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def _session(app: web.Application) -> AsyncIterator[None]:
    async with ClientSession(
        connector=TCPConnector(limit=0), timeout=ClientTimeout(30), auto_decompress=False
    ) as session:
        app[_SESSION] = session
        yield


def main() -> None:
    port, upstream = sys.argv[1:]
    app = web.Application()
    app[_UPSTREAM] = f"http://{upstream}"
    app.cleanup_ctx.append(_session)
    app.router.add_post("/tools/bench.{tool}", call)
    loop = uvloop.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=int(port), access_log=None, print=None, loop=loop)


if __name__ == "__main__":
    main()
