"""The cases beside nginx where it stands: a route, WebSockets, TLS, workers."""

from functools import partial
from typing import Final

from benchmarks import wrk
from benchmarks.cases import MANY, OF_CALLS, SMALL, Case, Turn, Upstream, load_path, load_small
from benchmarks.dropin.handshakes import CALLERS, shake_hands
from benchmarks.dropin.ping_pong import CONNECTIONS, played
from benchmarks.figures import CPU, FAILED, P50, P99, Figure, Round
from benchmarks.peers.haproxy import HAPROXY
from benchmarks.peers.nginx import NGINX
from benchmarks.peers.peer import PLAIN, Front
from benchmarks.peers.toolproxy import COMPILED, MANY_ROUTES, TEN_TOOLS, TOOLPROXY
from benchmarks.processes import ALL_CORES, proxy_cores

MESSAGE_CPU: Final = Figure("cpu_us_per_message", "CPU µs/message", 1)
MESSAGES: Final = Figure("messages_per_s", "messages/s", 0)
HANDSHAKE_CPU: Final = Figure("cpu_us_per_handshake", "CPU µs/handshake", 0)
HANDSHAKES: Final = Figure("handshakes_per_s", "handshakes/s", 0)
_SMALL_BYTES: Final = 32
_LARGE_BYTES: Final = 16 * 1024
_PEERS: Final = (NGINX, HAPROXY, TOOLPROXY, COMPILED)
_ROUTED: Final = Front(routed=True)
_TLS: Final = Front(tls=True)
_TWO: Final = Front(workers=2)
_OF_MESSAGES: Final = (MESSAGE_CPU, MESSAGES, P50, P99)
_TO_AND_FRO: Final = (
    f"{CONNECTIONS} WebSockets through a route, one message under way on each: to an upstream of"
    " ours and back; p50 and p99 are of the round trip"
)


def _ping_pong(payload_bytes: int, turn: Turn) -> Round:
    running = turn.standing()
    before_s = running.cpu_s()
    score = played(running.port, "/ws/echo", payload_bytes, turn.seconds)
    messages = 2 * score.round_trips
    return Round(
        {
            MESSAGE_CPU.key: (running.cpu_s() - before_s) / messages * 1e6,
            MESSAGES.key: messages / score.took_s,
            P50.key: score.p50_ms,
            P99.key: score.p99_ms,
            FAILED.key: score.failed,
        }
    )


def _handshakes(turn: Turn) -> Round:
    running = turn.standing()
    before_s = running.cpu_s()
    shaken = shake_hands(running.port, turn.seconds)
    return Round(
        {
            HANDSHAKE_CPU.key: (running.cpu_s() - before_s) / shaken.connections * 1e6,
            HANDSHAKES.key: shaken.connections / shaken.took_s,
            FAILED.key: shaken.failed,
        }
    )


def _where_two_run() -> str:
    cores = proxy_cores(_TWO.workers)
    if cores < ALL_CORES:
        return "each on a core that nothing else has"
    return (
        f"on {len(cores)} cores, which load and upstream share: too few for calls/s to say what a"
        " second worker brings"
    )


CASES: Final = (
    Case(
        key="route",
        title="Small call through a route",
        how=f"{SMALL}, {MANY} connections; `/api/echo` becomes `/echo`, by a prefix that is"
        " rewritten",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_path, wrk.SMALL, path="/api/echo"),
        front=_ROUTED,
        peers=_PEERS,
        quick=False,
    ),
    Case(
        key="routes",
        title="Small call to a tool beside 1 000 routes",
        how=f"{SMALL}, {MANY} connections, one and the same tool; none of the routes is called",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.SMALL, tool="t0000"),
        peers=(TEN_TOOLS, MANY_ROUTES),
        base=TEN_TOOLS.key,
        kin="route",
        slices=6,
        quick=False,
    ),
    Case(
        key="websocket",
        title=f"WebSocket, messages of {_SMALL_BYTES} bytes",
        how=_TO_AND_FRO,
        figures=_OF_MESSAGES,
        ratio=MESSAGE_CPU,
        measure=partial(_ping_pong, _SMALL_BYTES),
        upstream=Upstream.SOCKETS,
        front=_ROUTED,
        peers=_PEERS,
        quick=False,
    ),
    Case(
        key="websocket16k",
        title="WebSocket, messages of 16 KiB",
        how="the same",
        figures=_OF_MESSAGES,
        ratio=MESSAGE_CPU,
        measure=partial(_ping_pong, _LARGE_BYTES),
        upstream=Upstream.SOCKETS,
        front=_ROUTED,
        peers=_PEERS,
        kin="websocket",
        quick=False,
    ),
    Case(
        key="tls",
        title="Small call over TLS",
        how=f"{SMALL}, {MANY} connections that stay open, TLS 1.3, the same P-256 certificate for"
        " all; the upstream is spoken to without TLS",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.SMALL),
        front=_TLS,
        peers=_PEERS,
        quick=False,
    ),
    Case(
        key="handshakes",
        title="TLS handshakes",
        how=f"{CALLERS} callers, one connection after the other: a full handshake, one call, the"
        " end; the rate is that of the callers",
        figures=(HANDSHAKE_CPU, HANDSHAKES),
        ratio=HANDSHAKE_CPU,
        measure=_handshakes,
        front=_TLS,
        peers=_PEERS,
        kin="tls",
        quick=False,
    ),
    Case(
        key="workers",
        title="Small call, two workers",
        how=f"{SMALL}, {MANY} connections; two workers (HAProxy: threads), {_where_two_run()}",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.SMALL),
        front=_TWO,
        peers=_PEERS,
        quick=False,
    ),
    Case(
        key="worker",
        title="Small call, one worker",
        how="the same by one worker, which has a core to itself",
        figures=OF_CALLS,
        ratio=CPU,
        measure=partial(load_small, wrk.SMALL),
        front=PLAIN,
        peers=_PEERS,
        kin="workers",
        quick=False,
    ),
)
