"""nginx: one worker, or several. Its frame serves the upstream of all peers as well."""

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.peers.certificate import put_into
from benchmarks.peers.peer import Peer, Place
from benchmarks.processes import Launch

HOW_TO_GET: Final = "apt-get install nginx-light"

_FRAME: Final = """\
worker_processes {workers};
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 1000000000;
{inside}
}}
"""
_KEEPALIVE: Final = 512  # idle connections: more than any load here leaves
# Bodies are passed on as they come, as by the others, and never put on a disk.
_PROXY: Final = """\
  upstream tools {{ {method} {servers} keepalive {keepalive};
    keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port}{listen}
    client_max_body_size 0; proxy_request_buffering off; proxy_max_temp_file_size 0;
    proxy_http_version 1.1; proxy_set_header Connection "";
    proxy_set_header X-Request-Id $request_id;
{locations} }}
"""
_TOOLS: Final = "    location /tools/bench. { proxy_pass http://tools/tools/; }"
# What a location sets takes the place of all that the server has set.
_ROUTES: Final = """\
    location /api/ { proxy_pass http://tools/; }
    location /ws/ { proxy_pass http://tools/; proxy_read_timeout 1h;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";
      proxy_set_header X-Request-Id $request_id; }"""
_TLS: Final = """\
 ssl;
    ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;"""


def nginx(folder: Path, inside: str, workers: int = 1) -> Launch:
    """An nginx with these lines in its `http` block."""
    user = "user root;" if os.geteuid() == 0 else ""  # its worker must reach our folder
    conf = folder / "nginx.conf"
    conf.write_text(_FRAME.format(folder=folder, user=user, inside=inside, workers=workers))
    return Launch(["nginx", "-p", str(folder), "-c", str(conf)])


def missing() -> str | None:
    return None if shutil.which("nginx") else f"not installed: {HOW_TO_GET}"


def _version() -> str:
    said = subprocess.run(["nginx", "-v"], capture_output=True, check=True)  # noqa: S607 - from Debian
    return said.stderr.decode().rpartition("/")[2].strip()


def _launch(method: str, place: Place) -> Launch:
    servers = " ".join(f"server {address};" for address in place.upstream)
    inside = _PROXY.format(
        port=place.port,
        listen=_listen(place),
        method=method,
        servers=servers,
        keepalive=_KEEPALIVE,
        locations=_ROUTES if place.front.routed else _TOOLS,
    )
    return nginx(place.folder, inside, place.front.workers)


def _listen(place: Place) -> str:
    """The end of the `listen` line, and what belongs to it."""
    return _TLS.format(**put_into(place.folder)._asdict()) if place.front.tls else ";"


_APART: Final = (
    "one worker; `proxy_request_buffering off`, no temporary files, otherwise its defaults"
    " (answers are buffered in memory; `max_fails=1 fail_timeout=10s`, `proxy_next_upstream error"
    " timeout`)"
)
NGINX: Final = Peer(
    key="nginx",
    title="nginx",
    colour="#2f9e6e",
    apart=f"{_APART}; round robin; no active health checks, no metrics, no trace context, and a"
    " change of its tools takes a reload by new workers",
    missing=missing,
    version=_version,
    launch=partial(_launch, ""),
)
LEAST_CONN: Final = Peer(
    key="nginx-least",
    title="nginx, least_conn",
    colour="#9ccc65",
    apart="the same with `least_conn`",
    missing=missing,
    version=_version,
    launch=partial(_launch, "least_conn;"),
)
