"""All peers, in the order in which they are shown."""

from typing import Final

from benchmarks.peers.aiohttp_plain import AIOHTTP
from benchmarks.peers.envoy import ENVOY
from benchmarks.peers.fastapi_httpx import FASTAPI
from benchmarks.peers.haproxy import HAPROXY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.toolproxy import COMPILED, MANY_TOOLS, TEN_TOOLS, TOOLPROXY

PEERS: Final = (NGINX, HAPROXY, ENVOY, AIOHTTP, FASTAPI, TOOLPROXY, COMPILED)
SIZES: Final = (TEN_TOOLS, MANY_TOOLS)
