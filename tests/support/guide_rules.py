"""What stands for what the SARK guide leaves open; all else of its blocks runs as it is written.

Changed are: modules' names, addresses, what `...` stands for, programs and folders, waits, endless
loops, credentials. Filled in are the names that a block uses and does not define.
"""

import asyncio
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import proxy.client
from proxy.client import Event, OPAClient
from tests.support.guide_runs import Run

_MODULES: Final = {
    "sark.gateway.error_handler": "proxy.client.error_handler",
    "sark.services.policy.opa_client": "proxy.client",
    "sark.gateway": "proxy.client",
}
_OPEN: Final = (
    "GatewayClient",
    "TransportMode",
    "CircuitBreakerError",
    "RetryExhaustedError",
    "TimeoutError",
)
_TOKEN: Final = re.compile(r'user_token="[\w-]+"')
_GATEWAY: Final = re.compile(r'(gateway_url="[^"]+")')
_SLEEP: Final = re.compile(r"asyncio\.sleep\((\d+)\)")
_BARE_STREAM: Final = re.compile(r"(async for event in .*\n\s+)pass")
_SHORTER: Final = 6000  # a minute is 10 ms
_USUAL_S: Final = 1  # in place of a client's timeout of 10 s
LONGER_THAN_USUAL_S: Final = 1.2  # for what the guide gives a timeout of its own
_ROUNDS: Final = 3  # of what goes on for ever


@dataclass(frozen=True, kw_only=True)
class Rules:
    """`token` is for the words that the guide uses as tokens, `api_key` for who shows none."""

    gateway: str
    opa: str = "http://127.0.0.1:1"
    folder: Path = Path()
    invocation: str = '"postgres-mcp", "execute_query", {"query": "SELECT 1"}'
    token: str = ""
    api_key: str = ""

    def run(self, block: str, *, enough: tuple[str, ...] = (), **names: object) -> Run:
        """Run a block to its end; `names` go over those that are filled in."""
        run = Run(enough)
        run.names |= self._open_names(run) | names
        return run.of(self.applied(block))

    def applied(self, block: str) -> str:
        for theirs, ours in _MODULES.items():
            block = block.replace(f"from {theirs} import", f"from {ours} import")
        block = block.replace("invoke_tool(...)", f"invoke_tool({self.invocation})")
        block = block.replace("Client(...)", 'Client(gateway_url="http://gateway:8080")')
        block = block.replace('"python"', repr(sys.executable))
        block = block.replace('"/path/to/server"', repr(str(self.folder)))
        block = block.replace("while True:", f"for _ in range({_ROUNDS}):")
        block = block.replace('"max_attempts": 3}', '"max_attempts": 3, "initial_delay": 0.01}')
        block = block.replace("timeout=10.0", f"timeout={_USUAL_S}")
        block = _SLEEP.sub(rf"asyncio.sleep(\1 / {_SHORTER})", block)
        block = _BARE_STREAM.sub(r"\1process_event(event)", block)
        block = self._with_credentials(block)
        block = block.replace("http://gateway:8080", self.gateway)
        return block.replace("http://opa:8181", self.opa)

    def _with_credentials(self, block: str) -> str:
        if self.token:
            block = _TOKEN.sub(f'user_token="{self.token}"', block)
        if self.api_key and "api_key=" not in block:
            block = _GATEWAY.sub(rf'\1, api_key="{self.api_key}"', block)
        return block

    def _open_names(self, run: Run) -> dict[str, object]:
        return {
            **{each: getattr(proxy.client, each) for each in _OPEN},
            "asyncio": asyncio,
            "opa_client": OPAClient(self.opa),
            "logger": SimpleNamespace(error=_says(run, "error"), warning=_says(run, "warning")),
            "process_event": _hears(run, "event"),
            "process_tool_event": _hears(run, "tool event"),
            "process_server_event": _hears(run, "server event"),
            "log_audit_event": _hears(run, "audit event"),
        }


def _says(run: Run, kind: str) -> Callable[[str], None]:
    return lambda text: run.say(f"{kind}: {text}")


def _hears(run: Run, kind: str) -> Callable[[Event], None]:
    return lambda event: run.say(f"{kind}: {event.event_type}")
