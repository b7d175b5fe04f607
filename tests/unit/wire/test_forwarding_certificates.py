"""Facts about how a caller came, and with which certificate, on the way upstream."""

import pytest

from proxy.wire.forwarding import Caller, Certificate, Onward, request_head
from proxy.wire.trace import Trace
from tests.support.heads import read_request
from tests.support.messages import message

TRACE = Trace(b"flow", b"request", id_lines=b"", context_lines=b"")
NOBODY: frozenset[bytes] = frozenset()
ONWARD = Onward(b"POST", b"/x", b"Host: origin\r\n", NOBODY, NOBODY)
SHOWN = Certificate(b"CN=a", b"", b'Subject="CN=a"', NOBODY)
NAME = b"X-Forwarded-Client-Cert"


def forwarded(
    *fields: bytes, name: bytes, trusted: bool, certificate: Certificate | None = None
) -> list[bytes]:
    """The values of a field that leaves, for a caller over TLS who sent these."""
    caller = Caller(b"10.0.0.7", b"https", b"1.1 t", trusted=trusted, certificate=certificate)
    head = read_request(message(b"POST /x HTTP/1.1", b"Host: front", *fields))
    lines = request_head(head, ONWARD, caller, TRACE).split(b"\r\n")
    parted = [line.partition(b": ") for line in lines]
    return [value for key, _, value in parted if key.lower() == name.lower()]


@pytest.mark.parametrize("trusted", [True, False])
def test_upstream_learns_by_which_scheme_the_caller_came(*, trusted: bool) -> None:
    assert forwarded(name=b"X-Forwarded-Proto", trusted=trusted) == [b"https"]


def test_member_of_forwarded_says_it_too() -> None:
    (value,) = forwarded(b"Forwarded: for=a", name=b"Forwarded", trusted=True)

    assert value == b"for=a, for=10.0.0.7;proto=https"


@pytest.mark.parametrize("certificate", [SHOWN, None])
def test_what_a_caller_says_of_certificates_is_not_believed(
    certificate: Certificate | None,
) -> None:
    forged = NAME + b": Subject=forged"

    found = forwarded(forged, name=NAME, trusted=False, certificate=certificate)

    assert found == ([certificate.forwarded] if certificate else [])


@pytest.mark.parametrize(
    ("earlier", "certificate", "whole"),
    [
        ((), SHOWN, b'Subject="CN=a"'),
        ((NAME + b": DNS=b",), SHOWN, b'DNS=b,Subject="CN=a"'),
        ((NAME + b": DNS=b",), None, b"DNS=b"),
    ],
)
def test_certificates_behind_a_trusted_proxy_are_a_list(
    earlier: tuple[bytes, ...], certificate: Certificate | None, whole: bytes
) -> None:
    found = forwarded(*earlier, name=NAME, trusted=True, certificate=certificate)

    assert found == [whole]
