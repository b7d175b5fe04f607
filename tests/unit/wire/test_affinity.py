"""Facts about affinity: where the key of a call is found, and when it has none."""

import pytest

from proxy.wire.affinity import Affinity
from tests.support.heads import read_request
from tests.support.messages import message

PEER = b"10.0.0.7"
BY_HEADER = Affinity(header="X-Session")
BY_COOKIE = Affinity(cookie="sid")


def key_of(affinity: Affinity, *fields: bytes) -> bytes | None:
    return affinity.key_of(read_request(message(b"GET / HTTP/1.1", b"Host: a", *fields)), PEER)


def test_peers_address_is_the_key() -> None:
    assert key_of(Affinity(peer=True), b"X-Session: 7") == PEER


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        pytest.param([b"X-Session: abc"], b"abc", id="plain"),
        pytest.param([b"x-sESSION: abc"], b"abc", id="any-case"),
        pytest.param([b"X-Session:abc"], b"abc", id="no-blank"),
        pytest.param([b"X-Session: \t abc"], b"abc", id="blanks-before"),
        pytest.param([b"X-Session: abc \t "], b"abc", id="blanks-behind"),
        pytest.param([b"X-Session: a:b, c"], b"a:b, c", id="whole"),
        pytest.param([b"A: 1", b"X-Session: abc", b"B: 2"], b"abc", id="among-others"),
        pytest.param([b"X-Session: abc", b"X-Session: def"], b"abc", id="the-first-of-two"),
        pytest.param([], None, id="none"),
        pytest.param([b"A: X-Session: abc"], None, id="in-a-value"),
        pytest.param([b"X-Session-Id: 1", b"My-X-Session: 2"], None, id="other-names"),
    ],
)
def test_header_is_the_key(fields: list[bytes], key: bytes | None) -> None:
    assert key_of(BY_HEADER, *fields) == key


@pytest.mark.parametrize(
    ("header", "field", "key"),
    [
        pytest.param("Authorization", b"Authorization: Bearer t", b"Bearer t", id="credential"),
        pytest.param("X-Request-ID", b"X-Request-Id: 7", b"7", id="ours"),
        pytest.param("Host", b"A: 1", b"a", id="host"),
    ],
)
def test_header_that_concerns_a_proxy_is_a_key_too(header: str, field: bytes, key: bytes) -> None:
    assert key_of(Affinity(header=header), field) == key


def test_name_of_a_header_is_no_pattern() -> None:
    assert key_of(Affinity(header="X.Id"), b"X-Id: 1", b"X.Id: 2") == b"2"


@pytest.mark.parametrize(
    ("cookies", "key"),
    [
        pytest.param([b"sid=abc"], b"abc", id="alone"),
        pytest.param([b"a=1; sid=abc; b=2"], b"abc", id="among-others"),
        pytest.param([b"a=1;sid=abc"], b"abc", id="no-blank"),
        pytest.param([b"a=1", b"sid=abc"], b"abc", id="in-a-second-field"),
        pytest.param([b"sid=a=b=="], b"a=b==", id="value-with-equals-signs"),
        pytest.param([b'sid="abc"'], b'"abc"', id="quoted"),
        pytest.param([b"sid=abc; sid=def"], b"abc", id="the-first-of-two"),
        pytest.param([b"SID=abc"], None, id="names-have-a-case"),
        pytest.param([b"xsid=1; sid2=2; a=sid=3"], None, id="other-names"),
        pytest.param([b"sid"], None, id="no-value"),
        pytest.param([], None, id="none"),
    ],
)
def test_cookie_is_the_key(cookies: list[bytes], key: bytes | None) -> None:
    assert key_of(BY_COOKIE, *(b"Cookie: " + each for each in cookies)) == key


def test_name_of_a_cookie_is_no_pattern() -> None:
    assert key_of(Affinity(cookie="s.d"), b"Cookie: sid=1; s.d=2") == b"2"


def test_affinity_says_where_it_looks() -> None:
    assert (repr(BY_HEADER), repr(BY_COOKIE), repr(Affinity(peer=True))) == (
        "<Affinity x-session>",
        "<Affinity cookie>",
        "<Affinity peer>",
    )
