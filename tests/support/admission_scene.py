"""A guarded sidecar: callers with keys of their own, and what they say to be let in.

Knows how settings name keys and how callers present them. Knows nothing of what is decided.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from tests.support.caller import Answer, Caller
from tests.support.loop_thread import LoopThread
from tests.support.origin import Origin
from tests.support.scripts import echo
from tests.support.sidecar import Server, Sidecar, registry, server

# Long and unlike anything else that is written anywhere, so that each can be searched for.
CI: Final = "ci-Zq81fXw0aLrTe5"
OPS: Final = "ops-Yb72gVn9pKsMc4"
UNKNOWN: Final = "unknown-Hd63hUm8oJtNx"
OPERATORS: Final = re.compile(r"operators on http://[^\s:]+:(\d+)")


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def named(name: str, secret: str, **more: object) -> dict[str, object]:
    """One entry of `auth.api_keys`."""
    return {"name": name, "sha256": digest(secret), **more}


def guarded(*keys: Mapping[str, object], **more: object) -> dict[str, object]:
    """Settings under which only these keys are let in."""
    return {"auth": {"api_keys": [dict(key) for key in keys]}, **more}


def usual(**more: object) -> dict[str, object]:
    """Two callers: one who may call all of `o` and one tool of `p`, and an operator."""
    ci = named("ci", CI, allow=["o.*", "p.call"])
    return guarded(ci, named("ops", OPS, admin=True), **more)


def x_api_key(secret: str) -> bytes:
    return b"X-API-Key: " + secret.encode()


def bearer(token: str) -> bytes:
    return b"Authorization: Bearer " + token.encode()


AS_CI: Final = x_api_key(CI)
AS_OPS: Final = x_api_key(OPS)
AS_NOBODY: Final = x_api_key(UNKNOWN)


def operators_port(sidecar: Sidecar) -> int:
    matched = OPERATORS.search(sidecar.stderr)
    assert matched, sidecar.stderr
    return int(matched[1])


def for_operators(request: bytes) -> bytes:
    """The same request, to the listener by a name that it goes by."""
    return request.replace(b"Host: a\r\n", b"Host: localhost\r\n").replace(b"//a/", b"//localhost/")


def operators_ask(sidecar: Sidecar, request: bytes) -> Answer:
    """One request to the admin listener, on a connection of its own, and its answer."""
    request = for_operators(request)
    with Caller(operators_port(sidecar)) as caller:
        caller.send_as_far_as_it_goes(request)
        return caller.answer(request.split(b" ")[0].decode())


def code(answer: Answer) -> object:
    """What our own refusal calls itself; None for an answer that is none."""
    own = answer.value("content-type") == "application/problem+json"
    return answer.json()["code"] if own and answer.body else None


def verdict(answer: Answer) -> tuple[int, object]:
    return answer.status, code(answer)


@contextlib.contextmanager
def shared_scene(
    loop_thread: LoopThread,
    directory: Path,
    settings: Mapping[str, object],
    *servers: Server,
    extra: Mapping[str, str] | None = None,
) -> Iterator[tuple[Origin, Sidecar]]:
    """An upstream for servers `o`, `ox` and `p` and whatever else is given, and its sidecar.

    For modules whose tests leave no state behind. A server given may leave its endpoint out.
    """
    origin = Origin(echo)
    loop_thread.run(origin.start())
    usual_ones = [server(namespace, origin.url, tools=["call", "b.c"]) for namespace in "op"]
    usual_ones.append(server("ox", origin.url))
    given = [{"endpoints": [origin.url], **each} for each in servers]
    sidecar = Sidecar(directory, registry(*usual_ones, *given), settings, extra)
    try:
        yield origin, sidecar
    finally:
        sidecar.close()
        loop_thread.run(origin.stop())
