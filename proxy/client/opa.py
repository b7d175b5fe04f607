"""May this call be made? Asked of an Open Policy Agent before it is sent.

Fails closed: no answer, a slow one and one that cannot be read deny. An answer is kept for as long
as the tool's sensitivity allows, for exactly this input. Who the user is, OPA finds out from the
token: nothing here verifies one.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import aiohttp
from yarl import URL

from proxy.client import errors
from proxy.client.codec import decoded, encoded
from proxy.client.deadline import after, checked_span_s, until
from proxy.client.errors import Facts
from proxy.client.session import Connections, base_url_of

_ACTION: Final = "gateway:tool:invoke"
_KEPT_FOR_S: Final = {"low": 1800.0, "medium": 300.0, "high": 60.0}  # critical, unknown: never
_DENIAL_KEPT_FOR_S: Final = 5.0
_MOST_KEPT: Final = 10_000
_MOST_ANSWER_BYTES: Final = 1 << 20
_MAX_CONNECTIONS: Final = 50
_OK: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What OPA decided. `filtered_parameters` replace the parameters, also when empty."""

    allow: bool
    audit_reason: str = ""
    filtered_parameters: dict[str, object] | None = field(default=None, repr=False)
    audit_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Who wants to call what. `user` may hold a token, `parameters` a secret: not shown.

    `sensitivity` (low, medium, high, critical) decides how long an answer is kept; not at all
    where it is unknown.
    """

    server: str
    tool: str
    parameters: Mapping[str, object] = field(repr=False)
    user: Mapping[str, object] = field(default_factory=dict, repr=False)
    sensitivity: str | None = None
    request_id: str = field(default_factory=lambda: uuid4().hex)

    def document(self) -> dict[str, object]:
        """OPA's `input`, without the moment and the request."""
        return {
            "user": dict(self.user),
            "action": _ACTION,
            "tool": {"name": self.tool, "parameters": self.parameters},
            "server": {"name": self.server},
        }


class OPAClient:
    """Asks `POST {opa_url}{path}`; `timeout` in seconds, at most this long in all.

    Makes its connections when first used. `close` lets go of them; a later question makes new
    ones. A `GatewayClient` that was given one closes it, too.

    >>> async def main() -> None:
    ...     opa_client = OPAClient(opa_url=OPA_URL)
    ...     async with GatewayClient(gateway_url=URL, opa_client=opa_client) as client:
    ...         try:
    ...             await client.invoke_tool("postgres-mcp", "execute_query", {"query": "DROP"})
    ...         except PermissionError as error:
    ...             print(error)
    >>> asyncio.run(main())
    The policy denies postgres-mcp.execute_query: no such query
    """

    def __init__(
        self, opa_url: str, path: str = "/v1/data/mcp/allow", timeout: float = 1.0
    ) -> None:
        self.url = base_url_of(opa_url) + "/" + path.lstrip("/")
        self.timeout_s = checked_span_s("timeout", timeout)
        self._connections = Connections(_MAX_CONNECTIONS)
        self._kept: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()

    def __repr__(self) -> str:
        return f"<OPAClient {self.url} kept={len(self._kept)}>"

    async def authorize(self, question: Question) -> Decision:
        """OPA's decision. Never raises for OPA's faults: they deny, and `audit_reason` says why.

        Raises `ValueError` for parameters that are no JSON.
        """
        document = question.document()
        key = hashlib.sha256(encoded(document, "parameters")).digest()
        until_s, kept = self._kept.get(key, (0.0, None))
        if kept is not None and time.monotonic() < until_s:
            return kept
        try:
            decision = await self._asked(document, question.request_id)
        except errors.GatewayError as error:
            return Decision(allow=False, audit_reason=error.detail)
        self._keep(key, decision, question.sensitivity)
        return decision

    async def require(self, question: Question) -> Mapping[str, object]:
        """The parameters that may be sent; raises `PermissionError` with OPA's reason."""
        decision = await self.authorize(question)
        if not decision.allow:
            reason = decision.audit_reason or "no reason given"
            raise errors.PermissionError(
                f"The policy denies {question.server}.{question.tool}: {reason}",
                Facts(code="policy_denied", body={"audit_id": decision.audit_id}),
            )
        filtered = decision.filtered_parameters
        return question.parameters if filtered is None else filtered

    async def close(self) -> None:
        """Let go of its connections."""
        connections, self._connections = self._connections, Connections(_MAX_CONNECTIONS)
        await connections.close()

    async def _asked(self, document: Mapping[str, object], request_id: str) -> Decision:
        context = {
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id,
            "client_ip": None,
        }
        body = encoded({"input": {**document, "context": context}}, "parameters")
        async with until(after(self.timeout_s, asked=True), "OPA"):
            return _decision_of(await self._post(body))

    async def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        try:
            async with self._connections.calls.post(
                URL(self.url), data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status != _OK:
                    raise errors.GatewayError(f"OPA answered with {response.status}")
                return await _bounded(response)
        except aiohttp.ClientError as error:
            raise errors.GatewayError(f"OPA did not answer: {type(error).__name__}") from error

    def _keep(self, key: bytes, decision: Decision, sensitivity: str | None) -> None:
        kept_for_s = _KEPT_FOR_S.get(sensitivity or "", 0.0)
        if not decision.allow:
            kept_for_s = min(kept_for_s, _DENIAL_KEPT_FOR_S)
        if not kept_for_s:
            return
        self._kept[key] = (time.monotonic() + kept_for_s, decision)
        self._kept.move_to_end(key)
        if len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > _MOST_ANSWER_BYTES:
            raise errors.GatewayError(f"OPA answered with more than {_MOST_ANSWER_BYTES} bytes")
    return bytes(body)


def _decision_of(body: bytes) -> Decision:
    """Raises `GatewayError` for what is no decision: it may not be taken for one."""
    try:
        answer = decoded(body)
    except ValueError:
        raise errors.GatewayError("OPA answered with broken JSON") from None
    result = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(result, dict) or not isinstance(result.get("allow"), bool):
        raise errors.GatewayError("OPA gave no decision; is the policy's path right?")
    filtered, reason = result.get("filtered_parameters"), result.get("audit_reason")
    if filtered is not None and not isinstance(filtered, dict):
        raise errors.GatewayError("OPA gave filtered_parameters that are no object")
    audit_id = result.get("audit_id")
    return Decision(
        allow=result["allow"],
        audit_reason=reason if isinstance(reason, str) else "",
        filtered_parameters=filtered,
        audit_id=audit_id if isinstance(audit_id, str) else None,
    )
