"""Contract, "Headers to the upstream": each sentence, as the upstream sees it."""

import pytest

from tests.support.messages import get, message, ok, post
from tests.support.origin import Origin
from tests.support.scripts import answers
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar

STAYING = {
    "authorization": b"Authorization: Bearer callers-own",
    "cookie": b"Cookie: a=b",
    "x-api-key": b"X-API-Key: callers-own",
    "proxy-authorization": b"Proxy-Authorization: Basic x",
    "proxy-anything": b"Proxy-Anything: x",
    "forwarded": b"Forwarded: for=6.6.6.6",
    "x-forwarded-port": b"X-Forwarded-Port: 666",
    "x-forwarded-prefix": b"X-Forwarded-Prefix: /evil",
    "request-timeout": b"Request-Timeout: 5",
    "expect": b"Expect: 100-continue",
}
SPOOFED = (
    b"X-Forwarded-For: 6.6.6.6",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: evil.example",
    b"Forwarded: for=6.6.6.6",
)


@pytest.mark.parametrize("name", STAYING)
@pytest.mark.parametrize("path", ["/tools/o.call", "/servers/o/any"])
def test_what_must_not_leave_stays(sidecar: Sidecar, origin: Origin, name: str, path: str) -> None:
    assert sidecar.ask(post(path, STAYING[name])).status == 200

    assert origin.calls[0].values(name) == []


@pytest.mark.parametrize("name", ["authorization", "cookie", "x-api-key"])
def test_forward_headers_lets_pass_what_it_names(
    sidecar: Sidecar, origin: Origin, name: str
) -> None:
    sidecar.ask(post("/tools/forwarding.call", STAYING[name]))

    assert origin.calls[0].value(name) == STAYING[name].split(b": ")[1].decode()


@pytest.mark.parametrize("name", ["authorization", "cookie"])
def test_nominated_credentials_do_not_pass(sidecar: Sidecar, origin: Origin, name: str) -> None:
    fields = (STAYING[name], b"Connection: " + name.encode())

    sidecar.ask(post("/tools/forwarding.call", *fields))

    assert origin.calls[0].values(name) == []


def test_forwarding_fields_are_ours_alone(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call", *SPOOFED).replace(b"Host: a", b"Host: a:8080"))

    names = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded")
    found = [origin.calls[0].values(name) for name in names]
    assert found == [["127.0.0.1"], ["http"], ["a:8080"], []]


def test_forwarding_fields_of_a_trusted_peer_are_continued(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    settings = {"trusted_proxies": ["127.0.0.0/8"]}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)

    sidecar.ask(post("/tools/o.call", *SPOOFED))

    call = origin.calls[0]
    hops = ", ".join(call.values("x-forwarded-for")).replace(" ", "").split(",")
    others = [call.value(f"x-forwarded-{name}") for name in ("proto", "host")]
    assert (hops, others) == (["6.6.6.6", "127.0.0.1"], ["https", "evil.example"])


def test_forwarding_fields_of_another_peer_are_not_trusted(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    settings = {"trusted_proxies": ["10.0.0.0/8", "::1"]}
    sidecar = start_sidecar(server("o", origin.url), settings=settings)

    sidecar.ask(post("/tools/o.call", *SPOOFED))

    assert origin.calls[0].values("x-forwarded-for") == ["127.0.0.1"]


@pytest.mark.parametrize(
    "name", [b"X_Forwarded_For", b"X_A", b"_", b"Content_Length", b"Transfer_Encoding"]
)
def test_names_with_an_underscore_are_dropped(
    sidecar: Sidecar, origin: Origin, name: bytes
) -> None:
    answer = sidecar.ask(post("/tools/o.call", name + b": 9"))

    assert (answer.status, origin.calls[0].values(name.decode())) == (200, [])


def test_names_with_an_underscore_pass_when_so_set(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url), settings={"underscores": "allow"})

    sidecar.ask(post("/tools/o.call", b"X_A: 9"))

    assert origin.calls[0].value("x_a") == "9"


@pytest.mark.parametrize(
    "fields",
    [
        (),
        (b"Authorization: Bearer callers-own",),
        (b"authorization: one", b"AUTHORIZATION: two"),
        (b"Connection: authorization",),
    ],
    ids=["alone", "beside-the-callers", "beside-two", "nominated"],
)
def test_injected_header_is_the_only_one_of_its_name(
    sidecar: Sidecar, origin: Origin, fields: tuple[bytes, ...]
) -> None:
    sidecar.ask(post("/tools/injecting.call", *fields))

    assert origin.calls[0].values("authorization") == ["Bearer from-the-environment"]


def test_injected_header_may_come_from_a_file(
    start_origin: StartOrigin, start_sidecar: StartSidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    origin = start_origin()
    secrets = tmp_path_factory.mktemp("secrets")
    (secrets / "token").write_text("from-a-file\n")
    injected = {"x-token": f"T ${{file:{secrets}/token}}"}
    behind = server("o", origin.url, inject_headers=injected)
    sidecar = start_sidecar(behind, settings={"secrets": {"dir": str(secrets)}})

    sidecar.ask(post("/tools/o.call"))

    assert origin.calls[0].value("x-token") == "T from-a-file"


def test_injected_header_is_not_shown_to_the_caller(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok())

    answer = sidecar.ask(post("/tools/injecting.call"))

    assert b"from-the-environment" not in answer.head + answer.body


def test_host_is_the_endpoints(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call"))

    assert origin.calls[0].value("host") == f"127.0.0.1:{origin.port}"


def test_host_is_the_callers_when_preserved(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/hosted.call").replace(b"Host: a", b"Host: a.example:99"))

    assert origin.calls[0].value("host") == "a.example:99"


def test_all_that_is_added_is_there_once(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/tools/o.call"))

    ids = ["traceparent", "x-request-id", "x-chora-trace-id"]
    hop = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "via", "host"]
    assert {name: len(origin.calls[0].values(name)) for name in ids + hop} == dict.fromkeys(
        ids + hop, 1
    )


def test_caller_gets_the_ids_that_the_upstream_got(sidecar: Sidecar, origin: Origin) -> None:
    answer = sidecar.ask(post("/tools/o.call"))

    names = ("x-request-id", "x-chora-trace-id")
    call = origin.calls[0]
    assert [answer.value(name) for name in names] == [call.value(name) for name in names]


def test_ids_of_the_upstream_do_not_replace_ours(sidecar: Sidecar, origin: Origin) -> None:
    origin.script = answers(ok(b"ok", b"X-Request-Id: theirs", b"X-Chora-Trace-Id: theirs"))

    answer = sidecar.ask(post("/tools/o.call", b"X-Request-Id: mine", b"X-Chora-Trace-Id: mine"))

    assert [answer.values(name) for name in ("x-request-id", "x-chora-trace-id")] == [
        ["mine"],
        ["mine"],
    ]


@pytest.mark.parametrize("path", ["/nowhere", "/tools/o.unknown", "/servers/closed/any"])
def test_own_errors_carry_the_ids_too(sidecar: Sidecar, path: str) -> None:
    answer = sidecar.ask(get(path, b"X-Request-Id: mine"))

    assert (answer.value("x-request-id"), bool(answer.value("x-chora-trace-id"))) == ("mine", True)


@pytest.mark.parametrize("framing", [b"Content-Length: 0", b"X-None: 1"], ids=["length-0", "none"])
def test_empty_body_of_a_tool_call_goes_on_as_an_object(
    sidecar: Sidecar, origin: Origin, framing: bytes
) -> None:
    sidecar.ask(message(b"POST /tools/o.call HTTP/1.1", b"Host: a", framing))

    call = origin.calls[0]
    found = (bytes(call.body), call.value("content-type"), call.value("content-length"))
    assert found == (b"{}", "application/json", "2")


def test_empty_chunked_body_of_a_tool_call_goes_on_as_an_object(
    sidecar: Sidecar, origin: Origin
) -> None:
    line = b"POST /tools/o.call HTTP/1.1"

    sidecar.ask(message(line, b"Host: a", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"))

    assert bytes(origin.calls[0].body) == b"{}"


def test_empty_body_stays_empty_under_servers(sidecar: Sidecar, origin: Origin) -> None:
    sidecar.ask(post("/servers/o/any", body=b""))

    call = origin.calls[0]
    assert (bytes(call.body), call.values("content-type")) == (b"", [])


@pytest.mark.parametrize("content_type", [b"text/plain", b"application/x-anything", b"a/b; c=d"])
def test_any_content_type_is_relayed(sidecar: Sidecar, origin: Origin, content_type: bytes) -> None:
    sidecar.ask(post("/tools/o.call", b"Content-Type: " + content_type, body=b"\x00\xff"))

    call = origin.calls[0]
    assert (call.value("content-type"), bytes(call.body)) == (content_type.decode(), b"\x00\xff")
