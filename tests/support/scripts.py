"""What an origin may do to a call: the common scripts, each a plain coroutine over one visit."""

import hashlib
from collections.abc import Sequence

import orjson

from tests.support.loop_thread import Gate
from tests.support.messages import ok
from tests.support.origin import Script, Visit


async def echo(visit: Visit) -> None:
    """An ordinary tool server: answers JSON with what it saw."""
    body = await visit.read()
    seen = {
        "method": visit.method.decode(),
        "path": visit.target.decode("latin-1"),
        "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in visit.headers],
        "body": body.decode("latin-1"),
        "body_bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    await visit.send(ok(orjson.dumps(seen), b"Content-Type: application/json"))


def answers(octets: bytes, *, close: bool = False) -> Script:
    """Read the whole request, then send these bytes."""

    async def script(visit: Visit) -> None:
        await visit.read()
        await visit.send(octets)
        if close:
            visit.close()

    return script


def answers_at_once(octets: bytes, *, close: bool = False) -> Script:
    """Send these bytes as soon as the head is there; the body is not waited for."""

    async def script(visit: Visit) -> None:
        await visit.send(octets)
        if close:
            visit.close()

    return script


def sends_and_resets(octets: bytes) -> Script:
    """Read the whole request, send a beginning, drop the connection once it was read."""

    async def script(visit: Visit) -> None:
        await visit.read()
        await visit.send(octets)
        visit.reset()

    return script


def holds(gate: Gate, then: Script = echo) -> Script:
    """Read the request, wait for the gate, go on with `then`."""

    async def script(visit: Visit) -> None:
        await visit.read()
        await gate.passed()
        await then(visit)

    return script


def streams(head: bytes, pieces: Sequence[bytes], gates: Sequence[Gate]) -> Script:
    """Send the head, then each piece when its gate opens."""

    async def script(visit: Visit) -> None:
        await visit.read()
        await visit.send(head)
        for piece, gate in zip(pieces, gates, strict=True):
            await gate.passed()
            await visit.send(piece)

    return script


def in_turn(*scripts: Script) -> Script:
    """One script per call, in the order of the calls; the last one stays."""
    waiting = list(scripts)

    async def script(visit: Visit) -> None:
        following = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        await following(visit)

    return script
