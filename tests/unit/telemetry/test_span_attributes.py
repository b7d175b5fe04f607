"""Facts about what spans say: statuses, errors, attributes and resource of the conventions."""

import pytest
from opentelemetry.sdk.resources import Resource

from proxy.telemetry.record import ExchangeRecord
from proxy.wire.head import RequestHead
from tests.support.messages import get, message
from tests.support.spans import (
    ERROR,
    SECOND,
    UNSET,
    attributes_of,
    call,
    left,
    refused,
    spans_of,
    told,
)

# --- statuses ---


@pytest.mark.parametrize(
    ("made", "server", "client"),
    [
        pytest.param(call(status=200), (UNSET, None), (UNSET, None), id="200"),
        pytest.param(call(status=304), (UNSET, None), (UNSET, None), id="304"),
        pytest.param(call(status=404), (UNSET, None), (ERROR, "404"), id="404"),
        pytest.param(call(status=500), (ERROR, "500"), (ERROR, "500"), id="500"),
        pytest.param(
            call(status=504, code="upstream_timeout"),
            (ERROR, "upstream_timeout"),
            (ERROR, "upstream_timeout"),
            id="ours",
        ),
        pytest.param(
            call(status=413, code="body_too_large"),
            (UNSET, "body_too_large"),
            (ERROR, "body_too_large"),
            id="the-callers",
        ),
        pytest.param(
            left(answered=False),
            (ERROR, "caller_left"),
            (ERROR, "caller_left"),
            id="left-before-the-answer",
        ),
        pytest.param(
            left(answered=True), (UNSET, "caller_left"), (UNSET, "caller_left"), id="had-enough"
        ),
    ],
)
def test_status_and_error_are_those_of_the_conventions(
    made: ExchangeRecord, server: tuple[object, ...], client: tuple[object, ...]
) -> None:
    assert [told(span) for span in spans_of(made)] == [server, client]


def test_answer_that_breaks_off_is_an_error_whatever_its_status() -> None:
    made = call(status=200)
    made.code, made.detail = "upstream_closed", "It broke off"

    spans = spans_of(made)

    assert [told(span) for span in spans] == 2 * [(ERROR, "upstream_closed")]
    assert [attributes_of(span)["http.response.status_code"] for span in spans] == [200, 200]
    assert {span.status.description for span in spans} == {"It broke off"}


def test_status_of_our_own_is_not_the_upstreams() -> None:
    server, client = spans_of(call(status=504, code="upstream_timeout"))

    assert attributes_of(server)["http.response.status_code"] == 504
    assert "http.response.status_code" not in attributes_of(client)


# --- attributes ---


def test_server_span_says_what_was_asked() -> None:
    made = call(
        request=message(
            b"POST /tools/o.call?key=secret HTTP/1.1",
            *(b"Host: tools.example:8443", b"User-Agent: agent/1.0 ", b"Authorization: secret"),
            *(b"X-Chora-Trace-Id: workflow-1", b"Cookie: secret", b"Content-Length: 0"),
        )
    )
    made.flag = "UF"

    server, client = spans_of(made)

    assert attributes_of(server) == {
        "http.request.method": "POST",
        "http.route": "/tools/{tool}",
        "http.response.status_code": 200,
        "url.path": "/tools/o.call",
        "url.scheme": "http",
        "server.address": "tools.example",
        "server.port": 8443,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "agent/1.0",
        "toolproxy.server": "o",
        "toolproxy.tool": "call",
        "toolproxy.trace_id": "workflow-1",
        "toolproxy.response_flag": "UF",
    }
    assert attributes_of(client) == {
        "http.request.method": "POST",
        "url.full": "http://10.0.0.1:8001/tools/call",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "server.address": "10.0.0.1",
        "server.port": 8001,
        "network.protocol.version": "1.1",
        "toolproxy.server": "o",
        "toolproxy.tool": "call",
        "toolproxy.response_flag": "UF",
    }


@pytest.mark.parametrize(
    ("endpoint", "address", "port"),
    [
        (SECOND, "fd00::2", 8002),
        pytest.param("http://server-o", "server-o", None, id="socket"),
    ],
)
def test_client_span_says_where_it_went(endpoint: str, address: str, port: int | None) -> None:
    made = call()
    made.endpoint = endpoint

    _, client = spans_of(made)

    found = attributes_of(client)
    assert (found["server.address"], found.get("server.port")) == (address, port)


@pytest.mark.parametrize(
    ("host", "address", "port"),
    [(b"a", "a", None), (b"[::1]:80", "::1", 80), (b"[::1]", "::1", None), (b"a:", "a", None)],
)
def test_server_span_says_who_was_meant(host: bytes, address: str, port: int | None) -> None:
    made = call(request=message(b"GET /servers/o/x HTTP/1.1", b"Host: " + host))

    found = attributes_of(spans_of(made)[0])

    assert (found["server.address"], found.get("server.port")) == (address, port)


def test_client_span_says_what_the_upstream_was_asked() -> None:
    made = call()
    made.endpoint, made.asked = SECOND, (b"GET", b"/items?key=secret")

    server, client = spans_of(made)

    assert (server.name, client.name) == ("POST /tools/{tool}", "GET")
    assert attributes_of(client)["url.full"] == "http://[fd00::2]:8002/base/items"


def test_unknown_method_is_one_of_many() -> None:
    made = call(request=message(b"PROPFIND /servers/o/x HTTP/1.1", b"Host: a"))
    made.route, made.asked = "/servers/{ns}", (b"PROPFIND", b"/x")

    spans = spans_of(made)

    assert [span.name for span in spans] == ["HTTP /servers/{ns}", "HTTP"]
    assert {attributes_of(span)["http.request.method"] for span in spans} == {"_OTHER"}
    assert {attributes_of(span)["http.request.method_original"] for span in spans} == {"PROPFIND"}


def test_what_could_not_be_read_still_has_a_span() -> None:
    made = refused(400, "bad_request")
    made.head = RequestHead(b"", b"", 1, b"", {}, 0, False, b"")  # noqa: FBT003 - kept open
    made.route = "unmatched"

    (server,) = spans_of(made)

    assert (server.name, told(server)) == ("HTTP", (UNSET, "bad_request"))
    assert attributes_of(server).keys() & {"http.route", "http.request.method_original"} == set()


def test_what_a_caller_can_make_long_is_cut() -> None:
    made = call(request=get("/servers/o/" + "x" * 4000, b"User-Agent: " + b"y" * 4000))

    found = attributes_of(spans_of(made)[0])

    assert (len(str(found["url.path"])), len(str(found["user_agent.original"]))) == (1024, 1024)


# --- the resource ---


def test_resource_says_who_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")

    resource = spans_of(call())[0].resource.attributes

    wanted = ("service.name", "service.instance.id", "deployment.environment.name")
    assert [resource[name] for name in wanted] == ["toolproxy", "instance-1", "test"]
    assert resource["service.version"]


def test_environment_has_another_name_for_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "gateway")

    assert spans_of(call())[0].resource.attributes["service.name"] == "gateway"


def test_resource_is_not_hashed_anew_for_each_span(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = spans_of(call())[0].resource
    monkeypatch.setattr(Resource, "__hash__", None)

    assert hash(resource)
