"""`call`: one tool, called once; its answer goes on as it came.

Decides what is sent from what was said. How an answer looks on a terminal is `bodies`' business.
"""

import re
import sys
import time
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

import aiohttp
from yarl import URL

from proxy.client.answers import Answer, error_of
from proxy.client.deadline import after, until
from proxy.client.errors import GatewayError
from proxy.client.fields import visible
from proxy.client.http import failure_of
from proxy.people.asking import Asking, read_file
from proxy.people.bodies import Sink, sink_for
from proxy.people.documents import is_json
from proxy.people.gateway import Gateway
from proxy.people.output import Output
from proxy.people.unusable import UnusableError

_TOOL: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_.-]{1,128}")
_FIELD: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e\t]*)")
_SECRETS: Final = ("authorization", "proxy-authorization", "x-api-key", "cookie")
_OURS: Final = ("connection", "content-length", "expect", "host", "te", "transfer-encoding")
_MOST_BODY_BYTES: Final = 64 << 20
_MOST_PROBLEM_BYTES: Final = 1 << 16
_MOST_FIELD_BYTES: Final = 1 << 16
_CONNECT_WITHIN_S: Final = 5.0
_GRACE_S: Final = 5.0  # the sidecar ends the call itself, and says why
_PROBLEM: Final = "application/problem+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to send."""

    tool: str
    body: bytes | None = field(repr=False)
    fields: dict[str, str] = field(repr=False)

    @classmethod
    def of(cls, options: Namespace, asking: Asking) -> "Call":
        """Raises `UnusableError`."""
        if not _TOOL.fullmatch(options.tool):
            raise UnusableError(f"{options.tool!r} is no tool: expected NS.TOOL, as 'tools' lists")
        fields = {"Accept": "*/*", "Accept-Encoding": "identity"}
        fields |= {"Content-Type": "application/json"} if options.body is not None else {}
        fields = _overlaid(fields, _fields_of(options.fields))
        fields |= asking.fields(options.trace)
        if options.idempotency_key is not None:
            fields["Idempotency-Key"] = _checked("--idempotency-key", options.idempotency_key)
        if asking.timeout_s is not None:
            fields["Request-Timeout"] = f"{max(asking.timeout_s, 0.001):.3f}"
        return cls(tool=options.tool, body=_body_of(options.body), fields=fields)


def call(gateway: Gateway, output: Output, options: Namespace) -> Awaitable[int]:
    """Status 1 when the answer is a refusal or a failure, whoever's it is.

    What is to be sent is read before the event loop runs: one that waits for standard input
    could not be interrupted. Raises `UnusableError`.
    """
    return _called(Call.of(options, gateway.asking), gateway.asking, output)


async def _called(sent: Call, asking: Asking, output: Output) -> int:
    started_at = time.monotonic()
    async with _answered(sent, asking) as response:
        sink = sink_for(response.headers, output)
        kept = await _passed_on(response, sink, asking.url, sent.tool)
    _note(response, time.monotonic() - started_at, output)
    if response.status < HTTPStatus.BAD_REQUEST:
        return 0
    output.complain(_refusal(response, kept, sent.tool))
    return 1


def _body_of(said: str | None) -> bytes | None:
    """The octets to send; what was typed must be JSON, what a file has is the caller's."""
    if said is None:
        return None
    if said == "-":
        return _standard_input()
    if said.startswith("@"):
        return read_file("@FILE", said[1:], _MOST_BODY_BYTES)
    octets = said.encode(errors="surrogateescape")  # as it was typed
    if not is_json(octets):
        raise UnusableError(f"{said[:80]!r} is no JSON; quote it for the shell: '{{\"a\": 1}}'")
    return octets


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise UnusableError("-: there is no standard input")
    try:
        octets = sys.stdin.buffer.read(_MOST_BODY_BYTES + 1)
    except OSError as error:
        raise UnusableError(f"-: standard input cannot be read: {error.strerror}") from None
    if len(octets) > _MOST_BODY_BYTES:
        raise UnusableError(f"-: standard input has more than {_MOST_BODY_BYTES} bytes")
    return octets


def _fields_of(said: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for each in said:
        matched = _FIELD.fullmatch(each)
        if matched is None:
            raise UnusableError("-H: expected 'Name: value' in ASCII characters")
        name, value = matched.groups()
        if name.lower() in _SECRETS:
            raise UnusableError(
                f"-H {name}: on a command line it is no secret; use --api-key-file or --token-file"
            )
        if name.lower() in _OURS:
            raise UnusableError(f"-H {name}: this field belongs to the connection")
        found = _overlaid(found, {name: value.strip()})
    return found


def _overlaid(fields: dict[str, str], others: dict[str, str]) -> dict[str, str]:
    """Names of fields know no case."""
    theirs = {name.lower() for name in others}
    return {name: value for name, value in fields.items() if name.lower() not in theirs} | others


def _checked(name: str, value: str) -> str:
    try:
        return visible(name, value)
    except ValueError as error:
        raise UnusableError(str(error)) from None


@asynccontextmanager
async def _answered(sent: Call, asking: Asking) -> AsyncIterator[aiohttp.ClientResponse]:
    """The answer, once its head is here; raises `GatewayError`.

    Without a `--timeout` the sidecar decides how long a call may last.
    """
    url = URL(f"{asking.url}/tools/{sent.tool}", encoded=True)
    async with _session() as session:
        try:
            response = await _head_of(session, url, sent, asking)
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, GatewayError):
                raise
            raise failure_of(error, asking.url, sent.tool, began=False) from error
        try:
            yield response
        finally:
            response.close()


async def _head_of(
    session: aiohttp.ClientSession, url: URL, sent: Call, asking: Asking
) -> aiohttp.ClientResponse:
    posting = session.post(url, data=sent.body, headers=sent.fields, allow_redirects=False)
    if asking.timeout_s is None:
        return await posting
    async with until(after(asking.timeout_s + _GRACE_S, asked=True), sent.tool):
        return await posting


def _session() -> aiohttp.ClientSession:
    """One that changes nothing of a body, and takes as large a head as a sidecar passes on."""
    return aiohttp.ClientSession(
        auto_decompress=False,
        skip_auto_headers=("Content-Type", "User-Agent"),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN_S),
        max_line_size=_MOST_FIELD_BYTES,
        max_field_size=_MOST_FIELD_BYTES,
    )


async def _passed_on(response: aiohttp.ClientResponse, sink: Sink, url: str, tool: str) -> bytes:
    """Hand the body out as it comes; its beginning, should it say what is wrong."""
    kept = bytearray()
    while piece := await _piece(response, url, tool):
        kept += piece[: max(0, _MOST_PROBLEM_BYTES - len(kept))]
        sink.take(piece)
    sink.end()
    return bytes(kept)


async def _piece(response: aiohttp.ClientResponse, url: str, tool: str) -> bytes:
    try:
        return await response.content.readany()
    except (aiohttp.ClientError, OSError) as error:
        raise failure_of(error, url, tool, began=True) from error


def _note(response: aiohttp.ClientResponse, took_s: float, output: Output) -> None:
    trace_id = response.headers.get("X-Chora-Trace-Id", "-")
    words = f"{response.status} {response.reason or ''}".strip()
    output.note(f"{words} · {took_s * 1000:.0f} ms · trace {trace_id}")


def _refusal(response: aiohttp.ClientResponse, kept: bytes, tool: str) -> str:
    """In one sentence; a tool's own words have been shown already."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    answer = Answer(response.status, headers, kept)
    if answer.media_type != _PROBLEM:
        answer = Answer(response.status, headers, b"")
    return error_of(answer, tool).detail
