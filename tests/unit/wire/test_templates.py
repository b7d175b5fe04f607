"""Facts about templates: what each variable stands for, and that none brings a line break."""

import pytest

from proxy.config.templates import NAMES, template
from proxy.wire.forwarding import Caller, Certificate
from proxy.wire.templates import Scene, Template, host_of
from tests.support.heads import read_request
from tests.support.messages import message

VIA = b"1.1 toolproxy-1"
TARGET = b"/a%20b/c?x=1&Y=%0d%0a&z"


# With a line break in a name, as nobody should have.
SHOWN = Certificate(b"CN=a\r\nEvil: 1,O=b", b"DNS:a", b"", frozenset({b"a"}))


def caller(*, trusted: bool = False, certificate: bool = False) -> Caller:
    if not certificate:
        return Caller(b"10.0.0.7", b"http", VIA, trusted=trusted)
    return Caller(b"10.0.0.7", b"https", VIA, trusted=trusted, tls=b"TLSv1.3", certificate=SHOWN)


def text(
    written: str,
    *fields: bytes,
    by: Caller | None = None,
    port: int = 8080,
    host: bytes = b"App.Example:81",
    groups: tuple[bytes, ...] = (b"one", b"two"),
) -> bytes:
    line = b"GET %b HTTP/1.1" % TARGET
    head = read_request(message(line, b"Host: " + host, *fields))
    scene = Scene(head, by or caller(), port, b"/a b/c", groups, b"id-1")
    return Template(template(written)).text(scene)


VARIABLES = {
    "$remote_addr": b"10.0.0.7",
    "$host": b"app.example",
    "$http_host": b"App.Example:81",
    "$scheme": b"http",
    "$request_uri": TARGET,
    "$uri": b"/a b/c",
    "$args": b"x=1&Y=%0d%0a&z",
    "$is_args": b"?",
    "$arg_x": b"1",
    "$arg_y": b"%0d%0a",
    "$arg_z": b"",
    "$request_method": b"GET",
    "$server_port": b"8080",
    "$request_id": b"id-1",
    "$proxy_add_x_forwarded_for": b"10.0.0.7",
    "$ssl_client_s_dn": b"",
    "$ssl_client_san": b"",
    "$ssl_client_verify": b"NONE",
    "$ssl_protocol": b"",
    "$1/$2/$3": b"one/two/",
    "$http_x_some": b"1, 2",
    "$http_authorization": b"Basic x",
    "$http_none": b"",
    "$cookie_a": b"1",
    "$cookie_b": b"2=2",
    "$cookie_c": b"",
    "<$host$$${uri}>": b"<app.example$/a b/c>",
    "constant": b"constant",
}


@pytest.mark.parametrize(("written", "stands_for"), VARIABLES.items())
def test_variable_stands_for_what_was_sent(written: str, stands_for: bytes) -> None:
    found = text(
        written,
        b"X-Some: 1 ",
        b"x-some:2",
        b"Authorization: Basic x",
        b"Cookie: aa=0; a=1; b=2=2",
        b"X-Forwarded-For: 1.1.1.1",
        b"X-Forwarded-Proto: https",
    )

    assert found == stands_for


@pytest.mark.parametrize(
    ("written", "stands_for"),
    {
        "$remote_addr": b"2.2.2.2",
        "$scheme": b"https",
        "$proxy_add_x_forwarded_for": b"1.1.1.1, 2.2.2.2, 10.0.0.7",
    }.items(),
)
def test_proxy_that_is_trusted_is_believed(written: str, stands_for: bytes) -> None:
    fields = (b"X-Forwarded-For: 1.1.1.1, 2.2.2.2", b"X-Forwarded-Proto: HTTPS")

    assert text(written, *fields, by=caller(trusted=True)) == stands_for


def test_scheme_of_a_trusted_proxy_is_one_that_there_is() -> None:
    assert text("$scheme", b"X-Forwarded-Proto: x", by=caller(trusted=True)) == b"http"


def test_certificate_is_told_without_its_line_breaks() -> None:
    by = caller(certificate=True)

    assert text("$ssl_client_s_dn", by=by) == b"CN=aEvil: 1,O=b"
    assert text("$ssl_client_san $ssl_client_verify", by=by) == b"DNS:a SUCCESS"
    assert text("$ssl_protocol", by=by) == b"TLSv1.3"


def test_group_brings_no_line_break() -> None:
    assert text("$1", groups=(b"a\r\nb\0c",)) == b"abc"


def test_socket_without_a_port_has_none() -> None:
    assert text("$server_port", port=0) == b""


def test_every_variable_of_the_settings_has_a_meaning() -> None:
    for name in NAMES:
        assert isinstance(text(f"${name}"), bytes)


def test_constant_text_is_ready() -> None:
    constant, varying = Template(("ok",)), Template(("", "host", ""))

    assert (constant.constant, varying.constant) == (b"ok", None)
    assert (constant.per_call, Template(("", "request_id", "")).per_call) == (False, True)
    assert repr(varying) == "<Template of 1 variables>"


def test_scene_shows_its_path_alone() -> None:
    head = read_request(message(b"GET /a HTTP/1.1", b"Host: a", b"Cookie: secret"))

    assert repr(Scene(head, caller(), 0, b"/a", (), b"")) == "<Scene /a>"


@pytest.mark.parametrize(
    ("authority", "host"),
    {
        b"": b"",
        b"A.b": b"a.b",
        b"a:80": b"a",
        b"a:": b"a",
        b"[::1]": b"[::1]",
        b"[::A]:80": b"[::a]",
    }.items(),
)
def test_host_has_no_port(authority: bytes, host: bytes) -> None:
    assert host_of(authority) == host
