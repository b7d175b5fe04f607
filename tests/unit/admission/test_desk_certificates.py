"""Facts about certificates at the desk: whose are they, and how do they go with the rest?"""

import hashlib
from collections.abc import Mapping
from typing import Literal

import pytest

from proxy.admission.claims import Claims
from proxy.admission.desk import Desk
from proxy.config.access import ApiKey, Auth, CertificateHolder, Jwt
from proxy.config.units import Rate
from proxy.errors import UnauthenticatedError
from proxy.policy.grants import Visitor
from proxy.wire.forwarding import Certificate

JWT = Jwt(jwks_url="https://issuer/keys", issuer="i", audience=("a",))
BILLING = CertificateHolder(
    name="billing", subject="CN=billing,O=x", allow=("o.*",), teams=("red",), rate=Rate(5, 1)
)
MESH = CertificateHolder(name="mesh", san="spiffe://x/mesh", admin=True)
KEY = ApiKey(name="ci", sha256=hashlib.sha256(b"key-of-ci").hexdigest())
HELD = Auth(certificates=(BILLING, MESH))


class AnnsToken:
    """Knows one token at once."""

    def remembered(self, token: bytes) -> Claims | None:
        return Claims("ann", frozenset({"web"}), 2_000.0) if token == b"good" else None

    async def verify(self, token: bytes) -> Claims:
        raise NotImplementedError(token)

    async def close(self) -> None: ...


def shown(subject: bytes = b"CN=somebody", *names: bytes) -> Certificate:
    return Certificate(subject, b"", b"", frozenset(names))


def visitor(
    auth: Auth, certificate: Certificate | None, fields: Mapping[bytes, bytes] | None = None
) -> Visitor:
    desk = Desk(auth, {}, AnnsToken() if auth.jwt else None, lambda: 1_000.0)
    found = desk.at_once(fields or {}, 0.0, certificate)
    assert found is not None
    return found[0]


def test_a_subject_makes_an_application() -> None:
    found = visitor(HELD, shown(b"CN=billing,O=x"))

    assert (found.subject, found.application, found.admin) == ("billing", "billing", False)
    assert (set(found.teams), found.rate, set(found.spent)) == ({"red"}, Rate(5, 1), set())
    assert (found.may_call(b"o.call"), found.may_call(b"p.call")) == (True, False)


def test_one_of_the_other_names_makes_one_too() -> None:
    found = visitor(HELD, shown(b"CN=any", b"a.example", b"spiffe://x/mesh"))

    assert (found.application, found.admin) == ("mesh", True)


@pytest.mark.parametrize(
    "certificate",
    [
        None,
        shown(b"CN=billing"),
        shown(b"cn=billing,o=x"),
        shown(b"CN=billing,O=x,O=y"),
        shown(b"spiffe://x/mesh"),
        shown(b"CN=any", b"CN=billing,O=x", b"spiffe://x/mesh/"),
    ],
)
def test_another_name_is_nobody(certificate: Certificate | None) -> None:
    with pytest.raises(UnauthenticatedError) as caught:
        visitor(HELD, certificate)

    assert caught.value.reason == "no credential"


def test_a_token_speaks_for_the_application() -> None:
    auth = Auth(certificates=(BILLING,), jwt=JWT)

    found = visitor(auth, shown(b"CN=billing,O=x"), {b"authorization": b"Bearer good"})

    assert (found.subject, found.application, set(found.teams)) == ("ann", "billing", {"web"})
    assert not found.may_call(b"p.call")


def test_a_key_says_more_than_a_certificate() -> None:
    auth = Auth(certificates=(BILLING,), api_keys=(KEY,))

    found = visitor(auth, shown(b"CN=billing,O=x"), {b"x-api-key": b"key-of-ci"})

    assert found.application == "ci"


def test_a_wrong_key_is_refused_whatever_the_certificate_says() -> None:
    auth = Auth(certificates=(BILLING,), api_keys=(KEY,))

    with pytest.raises(UnauthenticatedError) as caught:
        visitor(auth, shown(b"CN=billing,O=x"), {b"x-api-key": b"guess"})

    assert caught.value.reason == "unknown API key"


@pytest.mark.parametrize(
    ("required", "fields", "certificate", "reason"),
    [
        ("certificate", {b"x-api-key": b"key-of-ci"}, None, "a client certificate is required"),
        ("certificate", {b"x-api-key": b"key-of-ci"}, shown(), "a client certificate is required"),
        ("key", {}, shown(b"CN=billing,O=x"), "an API key is required"),
        ("jwt", {}, shown(b"CN=billing,O=x"), "a token is required"),
    ],
)
def test_what_is_required_is_not_replaced(
    required: Literal["key", "jwt", "certificate"],
    fields: dict[bytes, bytes],
    certificate: Certificate | None,
    reason: str,
) -> None:
    auth = Auth(certificates=(BILLING,), api_keys=(KEY,), jwt=JWT, require=(required,))

    with pytest.raises(UnauthenticatedError) as caught:
        visitor(auth, certificate, fields)

    assert caught.value.reason.startswith(reason)
