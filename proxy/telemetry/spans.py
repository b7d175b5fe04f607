"""Spans: what OpenTelemetry's conventions for HTTP make of one exchange.

One span for the call (server) and one for each attempt (client), as in
https://opentelemetry.io/docs/specs/semconv/http/http-spans/. Needs the extra `otel`; knows nothing
of queues and threads.
"""

import re
from functools import lru_cache
from importlib.metadata import version
from os import environ
from random import getrandbits
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.attributes import (
    client_attributes,
    error_attributes,
    http_attributes,
    network_attributes,
    server_attributes,
    service_attributes,
    url_attributes,
    user_agent_attributes,
)
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from proxy.telemetry.record import Attempt, Calendar, ExchangeRecord
from proxy.wire.head import RequestHead

Attributes = dict[str, str | int]

_METHODS: Final = "CONNECT,DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT,TRACE"
_METHODS_VARIABLE: Final = "OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS"
_NO_ROUTE: Final = "unmatched"
_FAILING: Final = 400
_OF_THE_SERVER: Final = 500
_LONGEST_TEXT: Final = 1024  # of what a caller can make as long as it likes
_SAMPLED: Final = TraceFlags(TraceFlags.SAMPLED)
_FINE: Final = Status()
_SENT: Final = re.compile(
    rb"traceparent: 00-(.{32})-(.{16})-(..)\r\n(?:tracestate: ([^\r]*)\r\n)?", re.DOTALL
)
_AUTHORITY: Final = re.compile(r"(.*?)(?::([0-9]{0,5}))?")
_USER_AGENT: Final = re.compile(rb"\r\nuser-agent:[ \t]*([^\r]*)", re.IGNORECASE)


class Spans:
    """Makes the spans of one sidecar. `sample` is the part of the traces that begin here."""

    def __init__(self, sample: float, instance: str) -> None:
        self._sampler = ParentBased(TraceIdRatioBased(sample))
        self._resource = _resource(instance)
        self._calendar = Calendar()
        self._scope = InstrumentationScope("toolproxy", version("toolproxy"))
        self._methods = frozenset(environ.get(_METHODS_VARIABLE, _METHODS).split(","))

    def of(self, record: ExchangeRecord) -> list[ReadableSpan]:
        """The server's span, then the client's; none when the trace is not sampled.

        Every attempt sends the same parent id: it is the last one's span's, the spans of the
        attempts before it have ids that nobody was told.
        """
        names = _names(record)
        if not self._samples(names):
            return []
        call = _context(names, getrandbits(64))
        clock = int(self._calendar.began_at * 1e9)
        spans = [self._span(_server(record), call, names.caller, clock)]
        attempts = _attempts(record)
        began_at = record.started_at
        for resent, attempt in enumerate(attempts):
            last = resent + 1 == len(attempts)
            context = _context(names, names.sent_id if last else getrandbits(64))
            span = _client(record, attempt, began_at, resent, last=last)
            spans.append(self._span(span, context, call, clock))
            began_at = attempt.failed_at
        return spans

    def _samples(self, names: "_Names") -> bool:
        context = Context()
        if names.caller is not None:
            context = set_span_in_context(NonRecordingSpan(names.caller), context)
        decision = self._sampler.should_sample(context, names.trace_id, "").decision
        return decision is Decision.RECORD_AND_SAMPLE

    def _span(
        self,
        span: "_Span",
        context: SpanContext,
        parent: SpanContext | None,
        clock: int,
    ) -> ReadableSpan:
        # The SDK's own `Tracer` is for spans that are still running: 15 µs each instead of 1.
        method = span.method.decode()
        known = method if method in self._methods else "_OTHER"
        span.attributes[http_attributes.HTTP_REQUEST_METHOD] = known
        if method and known != method:
            span.attributes[http_attributes.HTTP_REQUEST_METHOD_ORIGINAL] = method[:_LONGEST_TEXT]
        name = "HTTP" if known == "_OTHER" else known
        return ReadableSpan(
            name=f"{name} {span.target}" if span.target else name,
            context=context,
            parent=parent,
            resource=self._resource,
            attributes=span.attributes,
            kind=span.kind,
            status=span.status,
            start_time=int(span.began_at * 1e9) + clock,
            end_time=int(span.ended_at * 1e9) + clock,
            instrumentation_scope=self._scope,
        )


class _Span(NamedTuple):
    """What is different from span to span; moments as in the record."""

    kind: SpanKind
    method: bytes
    target: str
    attributes: Attributes
    status: Status
    began_at: float
    ended_at: float


# --- ids ---


class _Names(NamedTuple):
    """What the call was named on the wire. `sent_id` is the parent id that the upstream got."""

    trace_id: int
    sent_id: int
    state: TraceState
    caller: SpanContext | None


def _names(record: ExchangeRecord) -> _Names:
    match = _SENT.fullmatch(record.trace.context_lines)
    if match is None:
        raise ValueError(f"no trace context: {record.trace.context_lines!r}")
    trace_id, sent_id, flags, tracestate = match.groups()
    state = TraceState.from_header([tracestate.decode("latin-1")] if tracestate else [])
    number = int(trace_id, 16)
    caller = None
    # A caller's traceparent that was good for anything is one whose trace goes on.
    given = record.head.noted.get(b"traceparent", b"")
    if given[3:35] == trace_id:
        known = TraceFlags(int(flags, 16))
        caller = SpanContext(number, int(given[36:52], 16), True, known, state)  # noqa: FBT003 - remote
    return _Names(number, int(sent_id, 16), state, caller)


def _context(names: _Names, span_id: int) -> SpanContext:
    return SpanContext(names.trace_id, span_id, False, _SAMPLED, names.state)  # noqa: FBT003 - as above


# --- the call ---


def _server(record: ExchangeRecord) -> _Span:
    head = record.head
    route = "" if record.route == _NO_ROUTE else record.route
    attributes: Attributes = {
        url_attributes.URL_PATH: _text(head.target.partition(b"?")[0]),  # a query may hold secrets
        url_attributes.URL_SCHEME: record.caller.scheme.decode(),
        network_attributes.NETWORK_PROTOCOL_VERSION: f"1.{head.minor_version}",
    }
    attributes |= _given(
        {
            http_attributes.HTTP_ROUTE: route,
            http_attributes.HTTP_RESPONSE_STATUS_CODE: record.status,
            client_attributes.CLIENT_ADDRESS: record.caller.address.decode(),
            user_agent_attributes.USER_AGENT_ORIGINAL: _user_agent(head),
            error_attributes.ERROR_TYPE: _error(record, _OF_THE_SERVER),
            "toolproxy.trace_id": record.trace.trace_id.decode(),
        }
    )
    attributes |= _asked_for(_text(head.authority)) | _ours(record)
    broken_off = record.answered_at and record.code
    failed = record.status >= _OF_THE_SERVER or not record.status or broken_off
    status = _failure(record) if failed else _FINE
    return _Span(
        SpanKind.SERVER,
        head.method,
        route,
        attributes,
        status,
        record.started_at,
        record.finished_at,
    )


def _error(record: ExchangeRecord, failing: int) -> str:
    """Our own error's code, or the status of an answer that is one; nothing if all went well."""
    if record.code or record.outcome == "caller_left":
        return record.outcome
    return str(record.status) if record.status >= failing else ""


def _failure(record: ExchangeRecord) -> Status:
    """The status says it all, unless it is our own."""
    return Status(StatusCode.ERROR, record.detail or None)


def _user_agent(head: RequestHead) -> str:
    match = _USER_AGENT.search(head.lines)
    return _text(match[1].rstrip(b" \t")) if match else ""


# --- its attempts ---


def _attempts(record: ExchangeRecord) -> tuple[Attempt, ...]:
    """All of them, each with its end; the last one failed too where none followed it after all."""
    failed = record.failed
    if record.attempts == len(failed):
        return failed
    before = failed[-1].failed_at if failed else 0.0
    sent_at = record.sent_at if record.sent_at > before else 0.0
    return (*failed, Attempt(record.endpoint, sent_at, record.finished_at, record.code))


def _client(
    record: ExchangeRecord, attempt: Attempt, began_at: float, resent: int, *, last: bool
) -> _Span:
    """One that was never sent began when the one before it had failed, or the call itself."""
    answered = last and record.answered_at
    error = attempt.code or _error(record, _FAILING)
    method, path = record.asked
    attributes: Attributes = {
        url_attributes.URL_FULL: attempt.endpoint + _text(path.partition(b"?")[0]),
        network_attributes.NETWORK_PROTOCOL_VERSION: "1.1",
    }
    attributes |= _given(
        {
            http_attributes.HTTP_REQUEST_RESEND_COUNT: resent,
            http_attributes.HTTP_RESPONSE_STATUS_CODE: record.status if answered else 0,
            error_attributes.ERROR_TYPE: error,
        }
    )
    attributes |= _address_of(attempt.endpoint) | _ours(record)
    # Who leaves in the middle of an answer may have had enough: event streams end in no other way.
    enough = answered and error == "caller_left"
    failed = error and not enough
    status = _FINE
    if failed:
        status = _failure(record) if last else Status(StatusCode.ERROR)
    return _Span(
        SpanKind.CLIENT,
        method or record.head.method,
        "",
        attributes,
        status,
        attempt.sent_at or began_at,
        attempt.failed_at,
    )


@lru_cache(maxsize=1024)
def _address_of(endpoint: str) -> Attributes:
    """A socket has no port, and is called by its server's name: see `Endpoint.shown`."""
    url = urlsplit(endpoint)
    return {url_attributes.URL_SCHEME: url.scheme} | _located(url.hostname or "", url.port or 0)


# --- attributes ---


def _asked_for(authority: str) -> Attributes:
    match = _AUTHORITY.fullmatch(authority)
    return _located(match[1].strip("[]"), int(match[2] or 0)) if match else {}


def _located(address: str, port: int) -> Attributes:
    return _given({server_attributes.SERVER_ADDRESS: address, server_attributes.SERVER_PORT: port})


def _ours(record: ExchangeRecord) -> Attributes:
    return _given(
        {
            "toolproxy.server": record.server,
            "toolproxy.tool": record.tool,
            "toolproxy.response_flag": record.flag,
        }
    )


def _given(attributes: Attributes) -> Attributes:
    """Those that say something."""
    return {name: value for name, value in attributes.items() if value}


def _text(octets: bytes) -> str:
    return octets[:_LONGEST_TEXT].decode("latin-1")


# --- what the SDK brings along ---


class _HashedOnce(Resource):
    """A resource that knows its hash.

    The exporter asks for it with every span, and the SDK's own writes JSON each time: 15 of 50 µs.
    """

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def _resource(instance: str) -> Resource:
    """Who we are; the environment may say more, and have another name for us."""
    resource = Resource.create(
        {
            "service.instance.id": instance,
            service_attributes.SERVICE_VERSION: version("toolproxy"),
        }
    )
    name = str(resource.attributes[service_attributes.SERVICE_NAME])
    if name.startswith("unknown_service"):
        resource = resource.merge(Resource({service_attributes.SERVICE_NAME: "toolproxy"}))
    return _HashedOnce(resource)
