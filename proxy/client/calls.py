"""One invocation: allowed, sent once, answered; or why not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from proxy.client.answers import value_of
from proxy.client.codec import encoded
from proxy.client.deadline import Deadline, until
from proxy.client.fields import caller_fields, visible
from proxy.client.http import HttpTransport, Request
from proxy.client.opa import OPAClient, Question
from proxy.client.retry import Leave

_INVOKE: Final = "/api/v1/invoke"
_SHORTEST_S: Final = 0.001  # as far as it is written out
# What the gateway remembers of a key; a larger call that is repeated might be made twice.
_MOST_KEYED_BYTES: Final = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to invoke, for whom. `key` is the same for all repeats."""

    server: str
    tool: str
    parameters: Mapping[str, object] = field(repr=False)
    api_key: str | None = field(repr=False)
    user_token: str | None = field(repr=False)
    trace_id: str | None = None
    key: str | None = None
    repeat_broken: bool = True
    sensitivity: str | None = None


async def invoke(
    call: Call, http: HttpTransport, opa: OPAClient | None, deadline: Deadline
) -> object:
    """The tool's answer."""
    what = f"{call.server}.{call.tool}"
    key = uuid4().hex if call.key is None else visible("idempotency_key", call.key)
    fields = caller_fields(call.api_key, call.user_token, call.trace_id)
    fields |= {"Content-Type": "application/json", "Idempotency-Key": key}
    parameters = await _allowed(call, opa, deadline, key)
    document = {"server": call.server, "tool": call.tool, "parameters": parameters}
    body = encoded(document, "parameters")
    if deadline.asked:  # else the tool's own deadline holds, which may be shorter
        fields["Request-Timeout"] = f"{max(deadline.left_s, _SHORTEST_S):.3f}"
    keyed = call.repeat_broken and len(body) <= _MOST_KEYED_BYTES
    leave = Leave.KEYED if keyed else Leave.NOTHING
    request = Request(method="POST", target=_INVOKE, what=what, fields=fields, body=body)
    return value_of(await http.send(request, call.server, leave, deadline), what)


async def _allowed(
    call: Call, opa: OPAClient | None, deadline: Deadline, request_id: str
) -> Mapping[str, object]:
    """The parameters that may be sent; raises `PermissionError`."""
    if opa is None:
        return call.parameters
    question = Question(
        server=call.server,
        tool=call.tool,
        parameters=call.parameters,
        user={"token": call.user_token} if call.user_token else {},
        sensitivity=call.sensitivity,
        request_id=request_id,
    )
    async with until(deadline, f"the policy for {call.server}.{call.tool}"):
        return await opa.require(question)
