"""What stands behind the proxies, the same for all: small answers, or bodies of 10 MB."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers.nginx import nginx
from benchmarks.processes import OTHER_CORES, Launch, free_port, listening

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
  server {{ listen 127.0.0.1:{port}; default_type application/json;
    location / {{ return 200 '{small}'; }}
    location = /tools/vary {{ add_header X-Answer $request_id; return 200 '{small}'; }}
    location = /tools/real {{ {head} add_header X-Answer 5f0c3a; return 200 '{real}'; }}
    location = /tools/realvary {{ {head} add_header X-Answer $request_id; return 200 '{real}'; }} }}
"""


@contextmanager
def answers(folder: Path) -> Iterator[int]:
    """nginx with constant answers; the port."""
    port = free_port()
    inside = _SERVER.format(port=port, small=_SMALL, real=_REAL, head=_HEAD)
    with listening(nginx(folder, inside), port, OTHER_CORES, folder):
        yield port


@contextmanager
def bodies(folder: Path) -> Iterator[int]:
    """The upstream of `body_upstream`; the port."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.body_upstream", str(port)]
    with listening(Launch(command), port, OTHER_CORES, folder):
        yield port
