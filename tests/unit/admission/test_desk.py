"""Facts about the desk: by which credentials is who recognised?"""

import hashlib
from collections.abc import Mapping

import pytest

from proxy.admission.claims import Claims, RefusedTokenError
from proxy.admission.desk import Desk
from proxy.config.access import ApiKey, Auth, Jwt
from proxy.errors import UnauthenticatedError
from proxy.policy.grants import Visitor
from proxy.wire.forwarding import Certificate

WALL_S = 1_000_000.0
JWT = Jwt(jwks_url="https://issuer/keys", issuer="i", audience=("a",))


def key(name: str, *, allow: tuple[str, ...] = ("*",), teams: tuple[str, ...] = ()) -> ApiKey:
    digest = hashlib.sha256(f"key-of-{name}".encode()).hexdigest()
    return ApiKey(name=name, sha256=digest, allow=allow, teams=teams)


CI, OPS = key("ci", allow=("o.*",), teams=("data",)), key("ops")


class Verifier:
    """Knows one token, at once or only when it waits."""

    def __init__(self, *, remembers: bool, expires_in_s: float = 1_000.0) -> None:
        self.claims = Claims("ann", frozenset({"web"}), WALL_S + expires_in_s)
        self.remembers = remembers

    def remembered(self, token: bytes) -> Claims | None:
        return self.claims if self.remembers and token == b"good" else None

    async def verify(self, token: bytes) -> Claims:
        if token != b"good":
            raise RefusedTokenError("expired")
        return self.claims

    async def close(self) -> None: ...


def desk(auth: Auth, tokens: Verifier | None = None) -> Desk:
    return Desk(auth, {}, tokens, lambda: WALL_S)


async def seen(
    at: Desk, fields: Mapping[bytes, bytes], certificate: Certificate | None = None
) -> Visitor:
    found = at.at_once(fields, 0.0, certificate)
    if found is None:
        found = await at.identify(fields, 0.0, certificate)
    return found[0]


async def refused(at: Desk, fields: Mapping[bytes, bytes]) -> UnauthenticatedError:
    with pytest.raises(UnauthenticatedError) as raised:
        await seen(at, fields)
    return raised.value


KEYS = Auth(api_keys=(CI, OPS))
BOTH = Auth(api_keys=(CI, OPS), jwt=JWT)


@pytest.mark.parametrize(
    ("fields", "spent"),
    [
        ({b"x-api-key": b"key-of-ci"}, b"x-api-key"),
        ({b"authorization": b"Bearer key-of-ci"}, b"authorization"),
        ({b"authorization": b"bEARER  key-of-ci "}, b"authorization"),
    ],
)
async def test_application_shows_its_key_in_one_of_two_fields(
    fields: dict[bytes, bytes], spent: bytes
) -> None:
    visitor = await seen(desk(KEYS), fields)

    assert (visitor.subject, visitor.application, visitor.spent) == ("ci", "ci", frozenset({spent}))
    assert visitor.may_call(b"o.x")
    assert not visitor.may_call(b"p.x")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "no credential"),
        ({b"authorization": b"Basic key-of-ci"}, "no credential"),
        ({b"x-api-key": b""}, "unknown API key"),
        ({b"x-api-key": b"key-of-ci", b"authorization": b""}, "unknown API key"),
        ({b"x-api-key": b"key-of-ci", b"authorization": b"Bearer"}, "unknown API key"),
        ({b"x-api-key": b"key-of-ci, key-of-ci"}, "unknown API key"),
        ({b"x-api-key": b"key-of-ci", b"authorization": b"Bearer x"}, "unknown API key"),
        ({b"x-api-key": b"x", b"authorization": b"Bearer key-of-ci"}, "unknown API key"),
    ],
)
async def test_invalid_credential_refuses_whatever_else_is_there(
    fields: dict[bytes, bytes], reason: str
) -> None:
    error = await refused(desk(KEYS), fields)

    assert error.reason == reason
    assert reason not in error.detail
    assert dict(error.headers)["WWW-Authenticate"].startswith('Bearer realm="toolproxy"')


@pytest.mark.parametrize("remembers", [True, False])
async def test_token_says_who_and_in_which_teams(*, remembers: bool) -> None:
    at = desk(Auth(jwt=JWT), Verifier(remembers=remembers))

    visitor = await seen(at, {b"authorization": b"Bearer good", b"x-api-key": b"upstream's own"})

    assert (visitor.subject, visitor.teams, visitor.spent) == (
        "ann",
        frozenset({"web"}),
        frozenset(),
    )
    assert visitor.may_call(b"any.thing")


async def test_key_that_is_shown_twice_is_spent_twice() -> None:
    visitor = await seen(
        desk(KEYS), {b"x-api-key": b"key-of-ci", b"authorization": b"Bearer key-of-ops"}
    )

    assert (visitor.application, visitor.spent) == (
        "ci",
        frozenset({b"x-api-key", b"authorization"}),
    )


async def test_token_that_is_refused_says_why_to_the_log_alone() -> None:
    error = await refused(
        desk(BOTH, Verifier(remembers=False)),
        {b"authorization": b"Bearer bad", b"x-api-key": b"key-of-ci"},
    )

    assert error.reason == "expired"
    assert "expired" not in error.detail


async def test_application_speaks_for_somebody() -> None:
    visitor = await seen(
        desk(BOTH, Verifier(remembers=True)),
        {b"authorization": b"Bearer good", b"x-api-key": b"key-of-ci"},
    )

    assert (visitor.subject, visitor.application, visitor.teams) == (
        "ann",
        "ci",
        frozenset({"web"}),
    )
    assert visitor.spent == frozenset({b"x-api-key"})
    assert not visitor.may_call(b"p.x")


async def test_key_alone_is_enough_where_tokens_are_known_too() -> None:
    visitor = await seen(desk(BOTH, Verifier(remembers=True)), {b"x-api-key": b"key-of-ops"})

    assert visitor.subject == "ops"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({b"x-api-key": b"key-of-ci"}, "a token is required"),
        ({b"authorization": b"Bearer good"}, "an API key is required"),
    ],
)
async def test_both_are_needed_where_both_are_required(
    fields: dict[bytes, bytes], reason: str
) -> None:
    auth = Auth(api_keys=(CI,), jwt=JWT, require=("key", "jwt"))

    error = await refused(desk(auth, Verifier(remembers=True)), fields)

    assert error.reason.startswith(reason)


@pytest.mark.parametrize(("expires_in_s", "until"), [(1_000.0, 70.0), (20.0, 30.0)])
async def test_token_is_looked_at_again_in_time(expires_in_s: float, until: float) -> None:
    at = desk(Auth(jwt=JWT), Verifier(remembers=True, expires_in_s=expires_in_s))

    found = at.at_once({b"authorization": b"Bearer good"}, 10.0, None)

    assert found is not None
    assert found[1] == until


def test_key_holds_until_the_settings_change() -> None:
    found = desk(KEYS).at_once({b"x-api-key": b"key-of-ci"}, 10.0, None)

    assert found is not None
    assert found[1] == float("inf")


def test_nothing_secret_is_shown() -> None:
    assert repr(desk(BOTH, Verifier(remembers=True))) == "<Desk <ApiKeys 2>>"


def test_desks_know_the_same_when_their_credentials_are_the_same() -> None:
    tokens = Verifier(remembers=True)
    named = ApiKey(name="ci", key="${A_KEY}")
    before = Desk(Auth(api_keys=(named,)), {"A_KEY": "old"}, tokens, lambda: WALL_S)
    same = Desk(Auth(api_keys=(named,)), {"A_KEY": "old"}, tokens, lambda: WALL_S)
    rotated = Desk(Auth(api_keys=(named,)), {"A_KEY": "new"}, tokens, lambda: WALL_S)
    others = Desk(Auth(api_keys=(named,)), {"A_KEY": "old"}, None, lambda: WALL_S)

    assert [before.knows_the_same(each) for each in (same, rotated, others)] == [True, False, False]
