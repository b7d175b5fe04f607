"""A WebSocket server of aiohttp's that echoes, as applications write them."""

from aiohttp import WSMsgType, web

SUBPROTOCOLS = ("soap", "chat")


class EchoServer:
    """Listens on TCP; every path is an echo, but for a request that asks for no WebSocket."""

    def __init__(self) -> None:
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", _echo)
        self._runner = runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


async def _echo(request: web.Request) -> web.StreamResponse:
    if "upgrade" not in request.headers:
        return web.Response(text="ok")
    socket = web.WebSocketResponse(protocols=SUBPROTOCOLS, max_msg_size=0)
    await socket.prepare(request)
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket
