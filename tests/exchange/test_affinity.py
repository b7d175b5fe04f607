"""Affinity: calls that are alike go to one endpoint, whoever makes them."""

from collections.abc import Callable
from typing import Final

import pytest

from proxy.policy.health import Verdict
from tests.support.messages import get
from tests.support.replicas import (
    FIRST,
    OK,
    SECOND,
    THIRD,
    answered,
    asked,
    asking,
    probed,
    reloads,
)
from tests.support.transcript import Begin, Transcript

HOSTS: Final = (FIRST, SECOND, THIRD)
KEYS: Final = tuple(b"key-%d" % number for number in range(24))

Asks = Callable[[Transcript, bytes], object]


def _by_header(t: Transcript, key: bytes) -> object:
    return asking(t, get("/servers/o/x", b"x-sesSION:  " + key))


def _by_known_header(t: Transcript, key: bytes) -> object:
    return asking(t, get("/servers/o/x", b"Cookie: " + key))


def _by_cookie(t: Transcript, key: bytes) -> object:
    return asking(t, get("/servers/o/x", b"Cookie: a=1; sid=" + key + b"; b=sid=2"))


def _by_peer(t: Transcript, key: bytes) -> object:
    return asking(t, address=f"10.9.0.{int(key[4:])}")


WAYS: Final[dict[str, tuple[str, Asks]]] = {
    "header": ("header: X-Session", _by_header),
    "header-that-is-read-anyway": ("header: cookie", _by_known_header),
    "cookie": ("cookie: sid", _by_cookie),
    "peer": ("peer: true", _by_peer),
}
by_every_way = pytest.mark.parametrize(("key", "asks"), WAYS.values(), ids=WAYS)


def hashed(key: str, *hosts: str) -> str:
    urls = ", ".join(f"http://{host}" for host in hosts or HOSTS)
    return f"endpoints: [{urls}]\nbalance: {{hash: {{{key}}}}}"


def homes(t: Transcript, asks: Asks) -> dict[bytes, str]:
    """Where the call of each key goes; all answered well."""
    found = {}
    for key in KEYS:
        asks(t, key)
        upstream = asked(t)
        assert upstream is not None
        found[key] = upstream.host
        upstream.sends(OK)
    return found


@by_every_way
def test_like_calls_go_to_one_endpoint(begin: Begin, key: str, asks: Asks) -> None:
    t = begin(hashed(key))

    first = homes(t, asks)

    assert (homes(t, asks), set(first.values())) == (first, set(HOSTS))


@by_every_way
def test_another_sidecar_sends_like_calls_to_the_same_endpoint(
    begin: Begin, key: str, asks: Asks
) -> None:
    here, there = begin(hashed(key)), begin(hashed(key, THIRD, FIRST, SECOND))

    assert homes(here, asks) == homes(there, asks)


def test_load_does_not_move_a_key(begin: Begin) -> None:
    t = begin(hashed("header: x-session"))

    for _ in range(9):
        _by_header(t, b"one")

    assert (len(t.dialled), len(set(t.dialled))) == (9, 1)


def test_only_keys_of_an_endpoint_that_is_down_move_and_they_come_back(begin: Begin) -> None:
    t = begin(hashed("header: x-session"))
    before = homes(t, _by_header)
    probed(t, SECOND, Verdict.UNREACHABLE)

    between = homes(t, _by_header)
    probed(t, SECOND, Verdict.HEALTHY, times=2)

    moved = {key for key in KEYS if between[key] != before[key]}
    assert moved == {key for key in KEYS if before[key] == SECOND}
    assert (SECOND not in between.values(), homes(t, _by_header)) == (True, before)


def test_only_keys_of_an_endpoint_that_is_gone_move(begin: Begin) -> None:
    t = begin(hashed("header: x-session"))
    before = homes(t, _by_header)

    reloads(t, hashed("header: x-session", FIRST, THIRD))

    after = homes(t, _by_header)
    assert {key for key in KEYS if after[key] != before[key]} == {
        key for key in KEYS if before[key] == SECOND
    }


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param((), id="none"),
        pytest.param((b"Cookie: xsid=1",), id="another"),
        pytest.param((b"X-Sid: 1",), id="elsewhere"),
    ],
)
def test_calls_without_the_key_go_where_there_is_least_to_do(
    begin: Begin, fields: tuple[bytes, ...]
) -> None:
    t = begin(hashed("cookie: sid"))

    for _ in range(6):
        asking(t, get("/servers/o/x", *fields))

    assert sorted(t.dialled) == sorted(HOSTS * 2)


def test_call_whose_endpoint_refuses_is_tried_elsewhere_and_its_key_stays(begin: Begin) -> None:
    t = begin(hashed("header: x-session"))
    home = homes(t, _by_header)[KEYS[0]]
    t.does(lambda: t.plane.pools.forget(list(t.cluster.endpoints)))
    t.refusing = {home}

    caller = asking(t, get("/servers/o/x", b"X-Session: " + KEYS[0]))
    other = asked(t)
    assert other is not None
    other.sends(OK)
    t.refusing = set()

    assert (answered(caller), other.host != home) == (200, True)
    assert homes(t, _by_header)[KEYS[0]] == home
