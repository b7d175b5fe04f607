"""Does the Open Policy Agent let this call go, and with which parameters?

Asks by OPA's data API (https://www.openpolicyagent.org/docs/rest-api), in time or not at all:
whatever is not a clear yes is a no. How long an answer stays good is decided in
`policy.judgements`. Knows nothing of how a call came, nor where it goes.
"""

import asyncio
import io
from collections.abc import Callable
from typing import Final, NamedTuple

import aiohttp

from proxy.config import access
from proxy.errors import BadValueError
from proxy.policy.judgements import Judgement, Judgements, key_of, may_be_kept
from proxy.wire.plain_object import DEEPEST, read_object, write_object

_ACTION: Final = "gateway:tool:invoke"
_CONNECTIONS: Final = 32
_ANSWER_LIMIT_BYTES: Final = 4 * 1024**2
_REASON_MOST: Final = 200
_AUDIT_ID_MOST: Final = 128
# `identity`: an answer that unpacks to gigabytes has no way in.
_HEADERS: Final = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
_NO_LIMITS: Final = aiohttp.ClientTimeout(total=None, sock_connect=None)  # ours covers all of it
_FILTERED_AT_DEPTH: Final = 2  # in the answer: result, filtered_parameters
_NO_RULE: Final = "no rule of the policy decides about this call"
_STOPPING: Final = Judgement(allow=False, reason="the sidecar stops", failed=True)


class Question(NamedTuple):
    """All that OPA may know of a call; two questions that differ never share a decision.

    But for `request_id` and `timestamp`, which differ in all. `user` is
    `{"id", "teams", "application"}`; `timestamp` is RFC 3339.
    """

    user: dict[str, object]
    server: str
    tool: str
    sensitivity: str
    parameters: dict[str, object]
    request_id: str
    client_ip: str
    timestamp: str


class Verdict(NamedTuple):
    """What came of it.

    `filtered` replaces the parameters, also when it is {}; None leaves them. `reason` is why not:
    fit for the caller, unless OPA `failed` to decide (then it is for the log).
    """

    allow: bool
    reason: str
    filtered: dict[str, object] | None
    audit_id: str
    failed: bool


class UndecidedError(Exception):
    """OPA said nothing that can be used; the message is why."""


class Opa:
    """One who asks OPA, and remembers for a while what it said. Belongs to one event loop."""

    def __init__(self, rules: access.Opa, now: Callable[[], float]) -> None:
        self._url = rules.url.rstrip("/") + rules.path
        self._timeout_s = rules.timeout_s
        self._servers = frozenset(rules.servers)
        self._now = now
        self._judgements = Judgements()
        self._flights: dict[bytes, asyncio.Task[Judgement]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<Opa {self._judgements!r}, {len(self._flights)} asked>"

    def asks_for(self, namespace: str) -> bool:
        """Is OPA asked about calls of this server?"""
        return not self._servers or namespace in self._servers

    async def judge(self, question: Question) -> Verdict:
        """OPA's verdict, or that of somebody who asked the same; within `timeout` in any case."""
        allow, reason, filtered, audit_id, failed = await self._judgement(question)
        return Verdict(
            allow, reason, None if filtered is None else read_object(filtered), audit_id, failed
        )

    async def close(self) -> None:
        """Who still waits is told no."""
        self._closed = True
        for flight in self._flights.values():
            flight.cancel()
        await asyncio.gather(*self._flights.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _judgement(self, question: Question) -> Judgement:
        if not may_be_kept(question.sensitivity):
            return await self._ask(question)
        try:
            key = key_of(question._replace(request_id="", timestamp=""))
        except (ValueError, RecursionError) as error:
            return _undecided(f"OPA can't be asked: {type(error).__name__}")
        known = self._judgements.find(key, self._now())
        return known if known is not None else await self._asked_together(key, question)

    async def _asked_together(self, key: bytes, question: Question) -> Judgement:
        """One request for all who ask the same meanwhile; it goes on when the first one leaves."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.get_running_loop().create_task(self._ask_and_keep(key, question))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key))
        await asyncio.wait([flight])
        return _STOPPING if flight.cancelled() else flight.result()

    async def _ask_and_keep(self, key: bytes, question: Question) -> Judgement:
        asked_at = self._now()
        judgement = await self._ask(question)
        self._judgements.keep(key, judgement, question.sensitivity, asked_at)
        return judgement

    async def _ask(self, question: Question) -> Judgement:
        try:
            async with asyncio.timeout(self._timeout_s):
                return judgement_of(await self._answer(_body_of(question)))
        except TimeoutError:
            return _undecided(f"OPA did not answer within {self._timeout_s:g} s")
        except UndecidedError as error:
            return _undecided(str(error))
        # The last two: a URL or a text that can't be sent, or one nested deeper than the stack is.
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            why = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            return _undecided(f"OPA can't be asked: {why}")

    async def _answer(self, body: bytes) -> bytes:
        try:
            return await self._post(body)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
            # Most likely it closed an idle connection just now. To decide twice changes nothing.
            return await self._post(body)

    async def _post(self, body: bytes) -> bytes:
        if self._closed:
            raise UndecidedError(_STOPPING.reason)
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=_NO_LIMITS,
                headers=_HEADERS,
                auto_decompress=False,
            )
        # A file, since aiohttp warns of bytes as large as a body may be.
        async with self._session.post(
            self._url, data=io.BytesIO(body), allow_redirects=False
        ) as answer:
            if answer.status != 200:  # noqa: PLR2004 - everybody knows this one
                raise UndecidedError(f"OPA answered with status {answer.status}")
            return await _all_of(answer.content)


def judgement_of(answer: bytes) -> Judgement:
    """What the body of OPA's answer says; UndecidedError if that can't be used."""
    if not answer:
        raise UndecidedError("OPA's answer is empty")
    try:
        found = read_object(answer, deepest=DEEPEST + _FILTERED_AT_DEPTH)
    except BadValueError:
        raise UndecidedError("OPA's answer is not one plain JSON object") from None
    result = found.get("result", {})  # none: no rule is defined for this input
    if isinstance(result, bool):
        result = {"allow": result}
    if not isinstance(result, dict):
        raise UndecidedError("OPA's result is neither an object nor true or false")
    audit_id = _printable(result.get("audit_id") or found.get("decision_id"), _AUDIT_ID_MOST)
    match result.get("allow"):
        case True:
            return Judgement(allow=True, filtered=_filtered(result), audit_id=audit_id)
        case False:
            reason = _printable(result.get("audit_reason"), _REASON_MOST) or "denied by policy"
            return Judgement(allow=False, reason=reason, audit_id=audit_id)
        case None if "allow" not in result:
            return Judgement(allow=False, reason=_NO_RULE, audit_id=audit_id)
        case _:
            raise UndecidedError("OPA's allow is neither true nor false")


def _filtered(result: dict[str, object]) -> bytes | None:
    match result.get("filtered_parameters"):
        case None:
            return None
        case dict(filtered):
            return write_object(filtered)
        case _:
            raise UndecidedError("OPA's filtered_parameters are not an object")


def _undecided(reason: str) -> Judgement:
    return Judgement(allow=False, reason=_printable(reason, _REASON_MOST), failed=True)


def _printable(text: object, most: int) -> str:
    """The beginning of a text, fit for a line of a log; nothing for what is no text."""
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else " " for c in text[:most])


def _body_of(question: Question) -> bytes:
    asked: dict[str, object] = {
        "user": question.user,
        "action": _ACTION,
        "tool": {"name": question.tool, "parameters": question.parameters},
        "server": {"name": question.server},
        "context": {
            "timestamp": question.timestamp,
            "request_id": question.request_id,
            "client_ip": question.client_ip,
        },
    }
    return write_object({"input": asked})


async def _all_of(content: aiohttp.StreamReader) -> bytes:
    found = bytearray()
    async for piece in content.iter_any():
        found += piece
        if len(found) > _ANSWER_LIMIT_BYTES:
            raise UndecidedError(f"OPA's answer has more than {_ANSWER_LIMIT_BYTES} bytes")
    return bytes(found)
