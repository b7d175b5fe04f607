"""A sidecar under a policy: the OPA that it asks, the upstream behind it, and who calls.

Server `o` is under the policy, `free` is not; two applications have keys.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.invocations import JSON, asking
from tests.support.loop_thread import LoopThread
from tests.support.messages import post
from tests.support.opa_server import OpaServer, result_of
from tests.support.origin import Origin
from tests.support.pairs import running
from tests.support.scripts import answers, echo
from tests.support.sidecar import NEVER_OPENS, Sidecar, server

ALLOWED: Final = {"allow": True}
ANN: Final = b"X-API-Key: of-ann"
BOB: Final = b"X-API-Key: of-bob"
_LEVELS: Final = ("low", "medium", "high", "critical")


class Judged(NamedTuple):
    """All three, running."""

    origin: Origin
    sidecar: Sidecar
    opa: OpaServer

    def forget(self) -> None:
        """Begin anew: everything is allowed and echoed."""
        self.origin.forget(echo)
        self.opa.forget(answers(result_of(ALLOWED)))


@contextlib.contextmanager
def judged(loop_thread: LoopThread, directory: Path) -> Iterator[Judged]:
    """Start all, end all."""
    opa = OpaServer()
    loop_thread.run(opa.start())
    names = ("ann", "bob")
    keys = [
        {
            "name": name,
            "sha256": hashlib.sha256(f"of-{name}".encode()).hexdigest(),
            "teams": [f"team-{name}"],
        }
        for name in names
    ]
    settings = {
        "policy": {"opa": {"url": opa.url, "timeout": "1s", "servers": ["o"]}},
        "auth": {"api_keys": keys},
        "defaults": {"circuit": NEVER_OPENS},
    }
    tools = [{"name": level, "sensitivity_level": level} for level in _LEVELS]
    with running(
        loop_thread,
        directory,
        lambda url: [
            server("o", url, tools=["call", "b.c", *tools], passthrough=True),
            server("free", url, passthrough=True),
        ],
        settings,
    ) as (origin, sidecar):
        yield Judged(origin, sidecar, opa)
    loop_thread.run(opa.stop())


def call(body: bytes, *fields: bytes, target: str = "/tools/o.call") -> bytes:
    """Ann calls."""
    return post(target, JSON, ANN, *fields, body=body)


def invoke(parameters: bytes, *fields: bytes) -> bytes:
    """The same, by the other way in."""
    return call(asking(parameters), *fields, target="/api/v1/invoke")
