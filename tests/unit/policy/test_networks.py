"""Facts about networks and what lies in them."""

from ipaddress import ip_network

import pytest

from proxy.policy.networks import among

HERE = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("fe80::1", False),
        ("::ffff:10.1.2.3", True),
        ("::ffff:11.1.2.3", False),
        ("unix:", False),
        ("", False),
    ],
)
def test_address_lies_in_one_of_them_or_not(address: str, *, inside: bool) -> None:
    assert among(address, HERE) is inside
