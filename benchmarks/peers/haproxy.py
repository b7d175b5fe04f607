"""HAProxy: one thread, or several."""

import shutil
import subprocess
from functools import partial
from typing import Final

from benchmarks.peers.certificate import put_into
from benchmarks.peers.peer import Peer, Place
from benchmarks.processes import Launch

_CONF: Final = """\
global
  nbthread {threads}
  maxconn 4096
defaults
  mode http
  timeout connect 1s
  timeout client 75s
  timeout server 60s
  timeout http-keep-alive 75s
  timeout tunnel 1h
  http-reuse always
frontend callers
  bind 127.0.0.1:{port}{tls}
  http-request replace-path {path}
  http-request set-header X-Request-Id %[uuid()]
  default_backend tools
backend tools
  {backend}
{servers}
"""
_TOOLS: Final = r"/tools/bench\.(.*) /tools/\1"
_ROUTES: Final = r"/(?:api|ws)/(.*) /\1"
_TLS: Final = " ssl crt {both} ssl-min-ver TLSv1.3"
_ROUND_ROBIN: Final = ("balance roundrobin", "")
_LEASTCONN: Final = (
    "balance leastconn\n  option redispatch 1\n  option httpchk GET /health",
    "check observe layer7 error-limit 10 on-error mark-down",
)


def _missing() -> str | None:
    return None if shutil.which("haproxy") else "not installed: apt-get install haproxy"


def _version() -> str:
    said = subprocess.run(["haproxy", "-v"], capture_output=True, check=True)  # noqa: S607 - from Debian
    return said.stdout.decode().split()[2]


def _launch(backend: str, of_server: str, place: Place) -> Launch:
    servers = "\n".join(
        f"  server upstream{number} {address} {of_server}"
        for number, address in enumerate(place.upstream)
    )
    conf = place.folder / "haproxy.cfg"
    front = place.front
    text = _CONF.format(
        threads=front.workers,
        port=place.port,
        tls=_TLS.format(**put_into(place.folder)._asdict()) if front.tls else "",
        path=_ROUTES if front.routed else _TOOLS,
        backend=backend,
        servers=servers,
    )
    conf.write_text(text)
    return Launch(["haproxy", "-db", "-f", str(conf)])


HAPROXY: Final = Peer(
    key="haproxy",
    title="HAProxy",
    colour="#6b8fb5",
    apart="one thread; `http-reuse always`, the path rewritten by a regular expression; round"
    " robin; no health checks, no metrics endpoint, no trace context",
    missing=_missing,
    version=_version,
    launch=partial(_launch, *_ROUND_ROBIN),
)
LEASTCONN: Final = Peer(
    key="haproxy-least",
    title="HAProxy, leastconn",
    colour="#d9822b",
    apart="one thread; `leastconn`, `option redispatch 1`, `option httpchk`, `check observe layer7"
    " error-limit 10 on-error mark-down`, otherwise its defaults (a check every 2 s)",
    missing=_missing,
    version=_version,
    launch=partial(_launch, *_LEASTCONN),
)
