"""The world that the SARK guide speaks of: its servers behind a sidecar, its OPA, its programs.

A call is answered with what arrived of it, so that a test sees what a block sent.
"""

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from tests.support.guide_rules import LONGER_THAN_USUAL_S, Rules
from tests.support.loop_thread import LoopThread
from tests.support.messages import ok, post
from tests.support.opa_server import Input, OpaServer
from tests.support.origin import HEALTHY, Origin, Visit
from tests.support.sidecar import Server, Sidecar, registry, server
from tests.support.token_issuer import AUDIENCE, ISSUER, signer
from tests.support.waiting import eventually

API_KEY: Final = "your-api-key"  # the guide's words
OTHER_KEY: Final = "gateway-api-key"
_SLOW_TOOLS: Final = ("long_running_task", "run_report")
_IN_2100: Final = 4_102_444_800
_TICK_S: Final = 0.05
_HEALTH: Final = {
    "interval": "50ms",
    "fast_interval": "50ms",
    "healthy_after": 1,
    "unhealthy_after": 1,
}

CHILD: Final = """\
import json, os, sys

for line in sys.stdin:
    message = json.loads(line)
    method, params = message["method"], message["params"]
    if method == "tools/list":
        result = {"tools": [{"name": "echo"}]}
    else:
        env = {name: os.environ[name] for name in os.environ if name != "LC_CTYPE"}  # Python's own
        result = {"arguments": params.get("arguments"), "env": env}
    if "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
    else:
        with open("told.json", "w") as told:
            json.dump(message, told)
"""
_PROGRAMS: Final = (
    "my_mcp_server.py",
    "my_server.py",
    "server1.py",
    "server2.py",
    "examples/my_mcp_server.py",
)


async def tells_what_came(visit: Visit) -> None:
    """A tool server: the tool's name and its arguments."""
    arguments = orjson.loads(await visit.read())
    tool = visit.target.decode().rpartition("/")[2]
    if tool in _SLOW_TOOLS:
        await asyncio.sleep(LONGER_THAN_USUAL_S)
    answer = {"tool": tool, "arguments": arguments}
    await visit.send(ok(orjson.dumps(answer), b"Content-Type: application/json"))


def without_password(asked: Input) -> dict[str, object]:
    """What the guide's policy says."""
    assert asked["action"] == "gateway:tool:invoke"
    kept = {key: value for key, value in asked["tool"]["parameters"].items() if key != "password"}
    return {"allow": True, "filtered_parameters": kept}


def servers_of_the_guide(url: str, sick_url: str) -> list[Server]:
    query = {
        "name": "execute_query",
        "description": "Run a query",
        "parameters": [{"name": "query", "type": "string", "required": True}],
        "sensitive_params": ["password"],
    }
    return [
        server("postgres-mcp", url, tools=[query], sensitivity_level="high"),
        server("redis-mcp", url, tools=["get", "set"]),
        server("analytics-server", url, tools=["run_report"]),
        server("slow-server", url, tools=["long_running_task"]),
        server("sick-server", sick_url, health=_HEALTH),
        *(server(f"server-{number}", url) for number in range(100)),
    ]


class GuideScene:
    """A sidecar with the guide's servers. `guarded` lets nobody in without a credential."""

    def __init__(self, loop: LoopThread, folder: Path, *, guarded: bool) -> None:
        self._loop = loop
        self._folder = folder
        self._guarded = guarded
        self._grown = False
        self._told = folder / "events.jsonl"  # of an upstream that has events of its own
        self._told.touch()
        self._probes = 0  # of the sick server, when its health last changed
        self._tools, self._sick = Origin(tells_what_came), Origin(tells_what_came)
        self.opa = OpaServer()
        for each in (self._tools, self._sick, self.opa):
            loop.run(each.start())
        self.opa.decides(without_password)
        self._servers = servers_of_the_guide(self._tools.url, self._sick.url)
        self.sidecar = Sidecar(folder, registry(*self._servers), self._settings())

    def close(self) -> None:
        self.sidecar.close()
        for each in (self._tools, self._sick, self.opa):
            self._loop.run(each.stop())

    def rules(self, programs: Path) -> Rules:
        """What stands for what the guide leaves open; its programs are in this folder."""
        for name in _PROGRAMS:
            path = programs / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(CHILD)
        return Rules(
            gateway=f"http://127.0.0.1:{self.sidecar.port}",
            opa=self.opa.url,
            folder=programs,
            token=_token() if self._guarded else "",
            api_key=API_KEY if self._guarded else "",
        )

    @contextlib.contextmanager
    def something_happens(self) -> Iterator[None]:
        """Calls, servers that come and go, healths that change, and errors, again and again."""
        enough = threading.Event()

        def happens() -> None:
            while not enough.wait(_TICK_S):
                self._tick()

        thread = threading.Thread(target=happens, name="what happens")
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()
            self._as_before()

    def _tick(self) -> None:
        call = post("/tools/postgres-mcp.execute_query", b"X-API-Key: %b" % API_KEY.encode())
        assert self.sidecar.ask(call).status == 200
        self._change_servers()
        self._change_health()
        with self._told.open("a") as lines:
            lines.write('{"event_type": "error", "status": "error", "message": "out of paper"}\n')

    def _change_servers(self) -> None:
        """Once the last change has been seen."""
        if len(self._listed()) == len(self._servers) + self._grown:
            self._grown = not self._grown
            self._write(*([server("new-server", self._tools.url)] if self._grown else []))

    def _change_health(self) -> None:
        """Once a whole probe has met what it is now."""
        if self._sick.probes >= self._probes + 2:
            self._probes = self._sick.probes
            self._sick.health = HEALTHY if self._sick.health is None else None

    def _as_before(self) -> None:
        self._sick.health = HEALTHY
        self._grown = False
        self._write()
        assert eventually(lambda: len(self._listed()) == len(self._servers))

    def _write(self, *more: Server) -> None:
        self.sidecar.registry_path.write_text(registry(*self._servers, *more))

    def _listed(self) -> list[object]:
        line = b"GET /api/v1/servers?limit=1000 HTTP/1.1\r\nHost: a\r\nX-API-Key: %b\r\n\r\n"
        rows = self.sidecar.ask(line % API_KEY.encode()).json()["servers"]
        assert isinstance(rows, list)
        return rows

    def _settings(self) -> dict[str, object]:
        settings: dict[str, object] = {"events": {"tail": [str(self._told)]}}
        if self._guarded:
            pem = self._folder / "issuer.pem"
            pem.write_bytes(signer().public_pem)
            jwt = {"key_file": str(pem), "issuer": ISSUER, "audience": [AUDIENCE]}
            keys = [_key("one", API_KEY, admin=True), _key("two", OTHER_KEY)]
            settings["auth"] = {"api_keys": keys, "jwt": jwt}
        return settings


def _key(name: str, key: str, **more: object) -> dict[str, object]:
    return {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), **more}


def _token() -> str:
    return signer().token(exp=_IN_2100).decode()
