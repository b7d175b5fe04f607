"""Facts about browsers: whose pages may call, and what they may read."""

import pytest

from proxy.policy.browser import (
    CorsRules,
    cors_fields,
    host_allowed,
    is_embedded,
    names_a_host,
    origin_allowed,
    preflight_fields,
)

NONE = CorsRules(frozenset(), (), credentials=False, max_age_s=600)
SOME = NONE._replace(origins=frozenset({b"https://a.example"}))
ANY = NONE._replace(origins=frozenset({b"*"}))


@pytest.mark.parametrize(
    ("origin", "rules", "allowed"),
    [
        pytest.param(b"http://here:80", NONE, True, id="own"),
        pytest.param(b"HTTPS://HERE:80", NONE, True, id="own-over-tls-in-capitals"),
        pytest.param(b"http://here", NONE, False, id="other-port"),
        pytest.param(b"http://here:80.evil", NONE, False, id="own-with-more-behind"),
        pytest.param(b"null", NONE, False, id="sandboxed"),
        pytest.param(b"", NONE, False, id="empty"),
        pytest.param(b"https://a.example", SOME, True, id="named"),
        pytest.param(b"http://a.example", SOME, False, id="named-with-another-scheme"),
        pytest.param(b"https://a.example, https://b", SOME, False, id="two"),
        pytest.param(b"null", ANY, True, id="any"),
    ],
)
def test_origin_is_allowed(origin: bytes, rules: CorsRules, *, allowed: bool) -> None:
    assert origin_allowed(origin, b"Here:80", rules) is allowed


HOSTS = frozenset({b"tools.local", b"127.0.0.1", b"[::1]", b"exact:81"})


@pytest.mark.parametrize(
    ("authority", "allowed"),
    [
        pytest.param(b"tools.local", True, id="name"),
        pytest.param(b"TOOLS.local:8080", True, id="name-with-any-port"),
        pytest.param(b"127.0.0.1:8080", True, id="address"),
        pytest.param(b"[::1]", True, id="ipv6"),
        pytest.param(b"[::1]:8080", True, id="ipv6-with-port"),
        pytest.param(b"exact:81", True, id="exact-port"),
        pytest.param(b"exact:82", False, id="other-port-than-named"),
        pytest.param(b"exact", False, id="port-left-out"),
        pytest.param(b"evil.example", False, id="rebound-name"),
        pytest.param(b"tools.local.evil", False, id="name-with-more-behind"),
        pytest.param(b"", False, id="empty"),
    ],
)
def test_host_is_allowed(authority: bytes, *, allowed: bool) -> None:
    assert host_allowed(authority, HOSTS) is allowed


def test_named_origin_may_read_with_what_it_is_allowed() -> None:
    assert cors_fields({b"origin": b"https://a.example"}, SOME) == (
        b"Access-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n"
        b"Access-Control-Expose-Headers: *\r\n"
    )


def test_credentials_are_allowed_by_name() -> None:
    rules = SOME._replace(credentials=True)

    assert cors_fields({b"origin": b"https://a.example"}, rules) == (
        b"Access-Control-Allow-Origin: https://a.example\r\nVary: Origin\r\n"
        b"Access-Control-Allow-Credentials: true\r\n"
    )


def test_any_origin_is_answered_with_a_star() -> None:
    assert cors_fields({b"origin": b"null"}, ANY).startswith(b"Access-Control-Allow-Origin: *\r\n")


@pytest.mark.parametrize(
    "noted",
    [
        pytest.param({}, id="no-page"),
        pytest.param({b"origin": b"http://here"}, id="own-page"),
    ],
)
def test_nobody_else_gets_a_field(noted: dict[bytes, bytes]) -> None:
    assert cors_fields(noted, SOME) == b""


PREFLIGHT = {b"origin": b"https://a.example", b"access-control-request-method": b"POST"}
ASKED = PREFLIGHT | {b"access-control-request-headers": b"x-a, x-b"}


@pytest.mark.parametrize(
    ("noted", "headers", "said"),
    [
        pytest.param(PREFLIGHT, (), b"", id="nothing-asked"),
        pytest.param(ASKED, (), b"Access-Control-Allow-Headers: x-a, x-b\r\n", id="as-asked"),
        pytest.param(
            ASKED, (b"x-c", b"x-d"), b"Access-Control-Allow-Headers: x-c, x-d\r\n", id="as-set"
        ),
    ],
)
def test_preflight_says_what_may_be_sent(
    noted: dict[bytes, bytes], headers: tuple[bytes, ...], said: bytes
) -> None:
    rules = SOME._replace(headers=headers)

    assert preflight_fields(noted, rules) == (
        cors_fields(noted, rules)
        + b"Access-Control-Allow-Methods: POST\r\n"
        + said
        + b"Access-Control-Max-Age: 600\r\n"
    )


@pytest.mark.parametrize(
    ("lines", "embedded"),
    [
        (b"", False),
        (b"\r\nSec-Fetch-Site: same-origin", False),
        (b"\r\nSec-Fetch-Site: none", False),
        (b"\r\nsec-fetch-site: cross-site\r\nsec-fetch-dest: image", True),
        (b"\r\nSec-Fetch-Site:same-site\r\nSec-Fetch-Mode: no-cors", True),
        (b"\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: iframe", True),
        (b"\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Dest: document", False),
    ],
)
def test_page_that_makes_a_browser_load_something_is_known(lines: bytes, *, embedded: bool) -> None:
    assert is_embedded(lines) is embedded


@pytest.mark.parametrize(
    ("authority", "names"),
    [
        (b"localhost", False),
        (b"LOCALHOST:9901", False),
        (b"127.0.0.1:9901", False),
        (b"[::1]:9901", False),
        (b"", False),
        (b"sidecar", True),
        (b"127.0.0.1.evil.example:9901", True),
    ],
)
def test_name_of_a_host_is_told_from_its_address(authority: bytes, *, names: bool) -> None:
    assert names_a_host(authority) is names
