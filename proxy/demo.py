"""`toolproxy demo`: two small tool servers, a registry and a sidecar, for the first minutes."""

import asyncio
import socket
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from proxy.config.settings import Settings, load_settings
from proxy.listening.sockets import CannotListenError
from proxy.registry.load import RegistryRejectedError
from proxy.sidecar import Sidecar

_LISTEN: Final = "127.0.0.1:8080"
_REGISTRY: Final = """\
version: "1.0"
servers:
  - namespace: text
    name: demo-text
    endpoints: [http://127.0.0.1:{text_port}]
    tools:
      - {{name: upper, description: The text in capitals}}
      - {{name: count, description: How many words}}
  - namespace: clock
    name: demo-clock
    endpoints: [http://127.0.0.1:{clock_port}]
    tools:
      - {{name: wait, description: "Answer after some milliseconds", timeout: 5s}}
"""


@contextmanager
def demo_settings(environ: Mapping[str, str], flags: dict[str, str]) -> Iterator[Settings]:
    """Settings for a sidecar of its own, with a registry in a folder that goes when it ends."""
    with tempfile.TemporaryDirectory(prefix="toolproxy-demo-") as folder:
        ours = {
            "registry.path": str(Path(folder, "registry.yaml")),
            "registry.store": str(Path(folder, "generations")),
        }
        if "listen" not in flags and not {"HOST", "PORT"} & environ.keys():
            ours["listen"] = _LISTEN
        yield load_settings(None, environ, flags | ours)


async def run_demo(settings: Settings, environ: Mapping[str, str]) -> int:
    """Serve until a signal; exit status as for `run`."""
    runners = [await _serve(_text_server()), await _serve(_clock_server())]
    ports = [runner.addresses[0][1] for runner in runners]
    registry = Path(settings.registry.path)
    text = _REGISTRY.format(text_port=ports[0], clock_port=ports[1])
    await asyncio.to_thread(registry.write_text, text)
    sidecar = Sidecar(settings, lambda: settings, environ)
    try:
        address = await sidecar.start()
        sidecar.install_signals()
        sys.stdout.write(_invitation(address, registry) + "\n")
        sys.stdout.flush()
        await sidecar.stopped()
    except (RegistryRejectedError, CannotListenError) as error:
        await sidecar.close()
        sys.stderr.write(f"toolproxy: {error}; choose another with --listen 127.0.0.1:0\n")
        return 2
    finally:
        for runner in runners:
            await runner.cleanup()
    return 0


def _invitation(address: str, registry: Path) -> str:
    return f"""\
toolproxy: listening on {address}, in front of two demo servers. Try:

  curl -s {address}/tools/text.upper -d '{{"text": "hello"}}'
  curl -s {address}/tools
  curl -s {address}/health

Edit {registry} and it is live within a second. Ctrl-C ends the demo."""


def _text_server() -> web.Application:
    async def upper(request: web.Request) -> web.Response:
        return web.json_response({"text": str((await request.json()).get("text", "")).upper()})

    async def count(request: web.Request) -> web.Response:
        return web.json_response(
            {"words": len(str((await request.json()).get("text", "")).split())}
        )

    app = web.Application()
    app.router.add_post("/tools/upper", upper)
    app.router.add_post("/tools/count", count)
    app.router.add_get("/health", _healthy)
    return app


def _clock_server() -> web.Application:
    async def wait(request: web.Request) -> web.Response:
        milliseconds = min(float((await request.json()).get("ms", 100)), 10_000.0)
        await asyncio.sleep(milliseconds / 1000)
        return web.json_response({"waited_ms": milliseconds})

    app = web.Application()
    app.router.add_post("/tools/wait", wait)
    app.router.add_get("/health", _healthy)
    return app


async def _healthy(_: web.Request) -> web.Response:
    return web.json_response({"status": "healthy"})


async def _serve(app: web.Application) -> web.AppRunner:
    listening = socket.create_server(("127.0.0.1", 0))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.SockSite(runner, listening).start()
    return runner
