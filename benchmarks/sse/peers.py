"""Who fans events out: nginx with Nchan, the sidecar in both builds; and how each is spoken to."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from benchmarks.load.request import Header
from benchmarks.peers import nginx
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.peer import Peer, Place
from benchmarks.peers.toolproxy import COMPILED, TOOLPROXY
from benchmarks.processes import Launch
from benchmarks.sse.ears import STAMP

_MODULE: Final = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
_PACKAGE: Final = "libnginx-mod-nchan"
_BUFFER: Final = 10_000  # messages: as many events as the sidecar holds for those who come back
# nginx as for the others, but with room for more connections, and with Nchan.
_CONF: Final = """\
load_module {module};
worker_processes 1;
worker_rlimit_nofile 20000;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port} backlog=1024;
    nchan_channel_id events;
    location = /publish {{ nchan_publisher;
      nchan_message_buffer_length {buffer}; nchan_message_timeout 1h; }}
    location = /events {{ nchan_subscriber eventsource;
      nchan_subscriber_first_message newest; }} }}
}}
"""


class Tongue(NamedTuple):
    """How one is subscribed to, and what makes an event in it: a POST that carries a stamp."""

    subscribe: str  # the path
    produce: str  # likewise
    headers: Sequence[Header]
    body: bytes


_JSON: Final = (b"Content-Type", b"application/json")
_NO_STAMP: Final = STAMP.format(0).encode()
_EVENT_BYTES: Final = 430  # of the sidecar's data; each report says how many it were
_EVENT: Final = b'{"trace_id":"%b","padding":"%b"}'
_SIDECAR: Final = Tongue(
    "/events?types=tool_invoked",
    "/tools/bench.echo",
    [_JSON, (b"X-Chora-Trace-Id", _NO_STAMP)],
    b'{"filter":"namespace:n8n"}\n',
)
_PUBLISHER: Final = Tongue(
    "/events",
    "/publish",
    [_JSON, (b"X-EventSource-Event", b"tool_invoked")],
    _EVENT % (_NO_STAMP, b"." * (_EVENT_BYTES - len(_EVENT % (_NO_STAMP, b"")))),
)


def tongue_of(peer: Peer) -> Tongue:
    return _PUBLISHER if peer is NCHAN else _SIDECAR


def _missing() -> str | None:
    return nginx.missing() or (
        None if _MODULE.exists() else f"not installed: apt-get install {_PACKAGE}"
    )


def _version() -> str:
    query = ["dpkg-query", "--show", "--showformat=${Version}", _PACKAGE]
    said = subprocess.run(query, capture_output=True, check=True)  # noqa: S603 - fixed words
    return f"nginx {NGINX.version()}, Nchan {said.stdout.decode()}"


def _launch(place: Place) -> Launch:
    user = "user root;" if os.geteuid() == 0 else ""  # its worker must reach our folder
    conf = place.folder / "nginx.conf"
    conf.write_text(
        _CONF.format(
            module=_MODULE, folder=place.folder, user=user, port=place.port, buffer=_BUFFER
        )
    )
    return Launch(["nginx", "-p", str(place.folder), "-c", str(conf)])


NCHAN: Final = Peer(
    key="nchan",
    title="nginx + Nchan",
    colour="#2f9e6e",
    apart="one worker; events are published to it (`POST`, answered when they are queued), not made"
    " of calls that it passes on; one channel in shared memory,"
    f" `nchan_message_buffer_length {_BUFFER}`, otherwise its defaults; no chunk framing",
    missing=_missing,
    version=_version,
    launch=_launch,
)
PEERS: Final = (NCHAN, TOOLPROXY, COMPILED)
