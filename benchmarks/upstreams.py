"""What stands behind the proxies, the same for all: small answers, bodies of 10 MB, or WebSockets.

One process at three addresses, which are three endpoints to a proxy; or at one of them.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers.nginx import nginx
from benchmarks.processes import LOOPBACK, OTHER_CORES, Launch, free_port, listening

ONE: Final = LOOPBACK[:1]
# 80 bytes of JSON
_SMALL: Final = '{"servers":[{"namespace":"n8n","port":8082},{"namespace":"text","port":8083}]}\n\n'
_ROW: Final = (
    '{"namespace":"n8n","name":"chora-mcp-n8n","port":8082,"health":"healthy",'
    '"tools":["list","run"]}'
)
_REAL: Final = '{"servers":[' + ",".join([_ROW] * 15) + "]}"  # 1.5 KB
# With Server, Date, Content-Type, Content-Length and Connection these make ten.
_HEAD: Final = """\
add_header Cache-Control no-store; add_header Vary Accept;
    add_header X-Content-Type-Options nosniff; add_header X-RateLimit-Remaining 4711;"""
_SERVER: Final = """\
  server {{ {listen} default_type application/json;
    location / {{ return 200 '{small}'; }}
    location = /tools/vary {{ add_header X-Answer $request_id; return 200 '{small}'; }}
    location = /tools/real {{ {head} add_header X-Answer 5f0c3a; return 200 '{real}'; }}
    location = /tools/realvary {{ {head} add_header X-Answer $request_id; return 200 '{real}'; }} }}
"""


@contextmanager
def answers(folder: Path, hosts: Sequence[str] = LOOPBACK) -> Iterator[Sequence[str]]:
    """nginx with constant answers; its addresses."""
    port = free_port()
    listen = " ".join(f"listen {address};" for address in addresses(hosts, port))
    inside = _SERVER.format(listen=listen, small=_SMALL, real=_REAL, head=_HEAD)
    with listening(nginx(folder, inside), port, OTHER_CORES, folder):
        yield addresses(hosts, port)


@contextmanager
def bodies(folder: Path) -> Iterator[Sequence[str]]:
    """The upstream of `body_upstream`; its addresses."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.body_upstream", str(port), *LOOPBACK]
    with listening(Launch(command), port, OTHER_CORES, folder, host=LOOPBACK[-1]):
        yield addresses(LOOPBACK, port)


@contextmanager
def sockets(folder: Path) -> Iterator[Sequence[str]]:
    """The WebSockets of `dropin.echo`; its addresses."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.dropin.echo", str(port), *LOOPBACK]
    with listening(Launch(command), port, OTHER_CORES, folder, host=LOOPBACK[-1]):
        yield addresses(LOOPBACK, port)


def addresses(hosts: Sequence[str], port: int) -> Sequence[str]:
    return [f"{host}:{port}" for host in hosts]
