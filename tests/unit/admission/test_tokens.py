"""Facts about tokens: which are believed, what they say, and why the others are refused."""

import hmac
from pathlib import Path

import jwt
import orjson
import pytest

from proxy.admission.claims import Claims
from proxy.admission.tokens import Tokens
from tests.support.token_issuer import (
    ALGORITHMS,
    ALICE,
    ISSUER,
    NOW,
    Clock,
    Signer,
    claims,
    key_set,
    outcome,
    rules,
    signer,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file with the key of `signer()`."""
    path = tmp_path_factory.mktemp("keys") / "keys.json"
    path.write_bytes(key_set(signer()))
    return str(path)


@pytest.fixture
def tokens(path: str) -> Tokens:
    return Tokens(rules(path), Clock(NOW))


def with_keys(folder: Path, *published: dict[str, object]) -> Tokens:
    path = folder / "set.json"
    path.write_bytes(orjson.dumps({"keys": published}))
    return Tokens(rules(str(path)), Clock(NOW))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_token_of_each_algorithm_says_who_its_bearer_is(algorithm: str, tmp_path: Path) -> None:
    tokens = with_keys(tmp_path, signer(algorithm).jwk())

    assert outcome(tokens, signer(algorithm).token()) == ALICE


def unsigned(algorithm: str = "none") -> bytes:
    head = orjson.dumps({"alg": algorithm, "kid": "first"})
    body = orjson.dumps(claims())
    return b".".join([*map(jwt.utils.base64url_encode, (head, body)), b""])


def confused(secret: bytes) -> bytes:
    """Signed with what everybody knows, as if it were a secret."""
    message = unsigned("HS256")[:-1]
    return message + b"." + jwt.utils.base64url_encode(hmac.digest(secret, message, "sha256"))


NOT_ALLOWED = "the token's algorithm is not one of those that are allowed"


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(unsigned(), "the token is not signed: its algorithm is none", id="none"),
        pytest.param(unsigned("None"), NOT_ALLOWED, id="none-in-other-letters"),
        pytest.param(confused(signer().public_pem), NOT_ALLOWED, id="public-key-as-secret"),
        pytest.param(confused(b""), NOT_ALLOWED, id="empty-secret"),
        pytest.param(signer().token({"alg": None}), NOT_ALLOWED, id="no-algorithm"),
        pytest.param(signer().token({"alg": ["ES256"]}), NOT_ALLOWED, id="list-of-algorithms"),
        pytest.param(
            signer("RS256").token(),
            "the token's algorithm does not agree with its key",
            id="algorithm-of-another-kind-of-key",
        ),
        pytest.param(signer().token(exp=NOW - 30), "the token has expired", id="expired"),
        pytest.param(
            signer().token(nbf=NOW + 31),
            "the token is not yet valid: nbf is in the future",
            id="not-yet-valid",
        ),
        pytest.param(
            signer().token(iat=NOW + 31),
            "the token is not yet valid: iat is in the future",
            id="issued-in-the-future",
        ),
        pytest.param(
            signer().token(iss=ISSUER + "/"), "the token comes from another issuer", id="issuer"
        ),
        pytest.param(
            signer().token(aud="toolproxy2"), "the token is for another audience", id="audience"
        ),
        pytest.param(
            signer().token(aud=[1, {}]), "the token is for another audience", id="odd-audience"
        ),
        pytest.param(
            signer(kid="second").token(),
            "the token is signed with a key that is not known",
            id="unknown-key",
        ),
        pytest.param(
            signer(kid="second").token({"kid": "first"}),
            "the token's signature is wrong",
            id="signature-of-another-key",
        ),
        pytest.param(
            signer().token(pad="x" * 100 * 1024),
            "the token is larger than 16384 bytes",
            id="100-KiB",
        ),
        pytest.param(
            b"a.b.c.d.e", "the token is encrypted: only signed ones can be checked", id="encrypted"
        ),
        pytest.param(
            signer().token({"crit": ["exp"]}),
            "the token needs an extension that is not supported",
            id="crit",
        ),
        pytest.param(
            signer().token({"b64": True}),
            "the token needs an extension that is not supported",
            id="b64",
        ),
        *[
            pytest.param(
                signer().token(**{claim: None}),
                f"the token lacks the claim {claim}",
                id=f"no-{claim}",
            )
            for claim in ("exp", "iss", "aud", "sub")
        ],
        pytest.param(
            signer().token(exp=str(NOW + 300)),
            "the token's exp is not a number of seconds",
            id="exp-is-text",
        ),
        pytest.param(
            signer().token(nbf=True), "the token's nbf is not a number of seconds", id="nbf-is-true"
        ),
        pytest.param(signer().token(sub=7), "the token's sub is not printable text", id="sub-is-7"),
        pytest.param(
            signer().token(sub="a\nb"), "the token's sub is not printable text", id="two-lines"
        ),
        pytest.param(
            signer().token(sub=""),
            "the token's sub does not have 1 to 256 characters",
            id="nobody",
        ),
        pytest.param(
            signer().token(sub="a" * 257),
            "the token's sub does not have 1 to 256 characters",
            id="long-name",
        ),
        pytest.param(
            signer().token(teams={"red": 1}),
            "the token's teams is neither text nor a list of texts",
            id="odd-teams",
        ),
        pytest.param(
            signer().token(teams=["red", 1]),
            "the token's teams is neither text nor a list of texts",
            id="odd-team",
        ),
    ],
)
def test_token_is_refused_with_its_reason(tokens: Tokens, token: bytes, reason: str) -> None:
    assert outcome(tokens, token) == reason
    assert tokens.remembered(token) is None


def respelled(token: bytes) -> bytes:
    """The same octets: 64 of them leave four bits of the last character unused."""
    return token[:-1] + bytes([token[-1] + 1])


HEAD = b'{"alg":"ES256","kid":"first"}'


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"..", id="empty-parts"),
        pytest.param(b"secret-key", id="api-key"),
        pytest.param(b"a.b", id="two-parts"),
        pytest.param(b"a.b.c", id="three-letters"),
        pytest.param(b"a.b.c.d", id="four-parts"),
        pytest.param(signer().token() + b"=", id="padded"),
        pytest.param(signer().token() + b"\n", id="line-end"),
        pytest.param(respelled(signer().token()), id="other-spelling"),
        pytest.param(b" " + signer().token(), id="leading-blank"),
        pytest.param(signer().token().replace(b".", "é.".encode(), 1), id="not-ascii"),
        pytest.param(signer().token({"kid": 7}), id="key-name-is-7"),
        pytest.param(signer().signed(b"[]", b"{}"), id="header-is-a-list"),
        pytest.param(signer().signed(HEAD, b"[]"), id="claims-are-a-list"),
        pytest.param(signer().signed(HEAD, b'{"a":' * 2_000), id="deep"),
        pytest.param(signer().signed(HEAD, b'{"sub":"\xff"}'), id="not-utf-8"),
    ],
)
def test_what_is_no_token_is_refused_as_such(tokens: Tokens, token: bytes) -> None:
    assert outcome(tokens, token) == "the credential is not a JSON Web Token"


@pytest.mark.parametrize(
    "changes",
    [{"exp": NOW - 29}, {"nbf": NOW + 30}, {"iat": NOW + 30}, {"nbf": None, "iat": None}],
    ids=["expired-just-now", "valid-in-a-moment", "issued-in-a-moment", "no-beginning"],
)
def test_clocks_may_differ_by_half_a_minute(tokens: Tokens, changes: dict[str, object]) -> None:
    assert isinstance(outcome(tokens, signer().token(**changes)), Claims)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"sub": "bob", "client_id": "app"}, "bob"),
        ({"sub": None, "client_id": "app", "azp": "other"}, "app"),
        ({"sub": None, "azp": "other"}, "other"),
        ({"sub": "Zoë Ångström"}, "Zoë Ångström"),
    ],
)
def test_subject_is_sub_or_else_the_client(
    tokens: Tokens, changes: dict[str, object], subject: str
) -> None:
    found = outcome(tokens, signer().token(**changes))

    assert isinstance(found, Claims)
    assert found.subject == subject


@pytest.mark.parametrize(
    ("claim", "said", "teams"),
    [
        pytest.param("teams", {"teams": None}, set(), id="none"),
        pytest.param("teams", {"teams": []}, set(), id="empty"),
        pytest.param("teams", {"teams": "red blue"}, {"red blue"}, id="one-text-is-one-team"),
        pytest.param("scope", {"scope": "red  blue"}, {"red", "blue"}, id="scope"),
        pytest.param("realm.scp", {"realm": {"scp": "red blue"}}, {"red", "blue"}, id="scp"),
        pytest.param("scope", {"scope": ["red blue"]}, {"red blue"}, id="list-of-scopes"),
        pytest.param("realm.roles", {"realm": {"roles": ["red"]}}, {"red"}, id="path"),
        pytest.param("realm.roles.x", {"realm": {"roles": ["red"]}}, set(), id="path-too-long"),
        pytest.param("realm.roles", {"realm": None}, set(), id="path-to-nowhere"),
        pytest.param("https://a.b/t", {"https://a.b/t": ["red"]}, {"red"}, id="name-with-dots"),
    ],
)
def test_teams_are_found_where_the_settings_say(
    path: str, claim: str, said: dict[str, object], teams: set[str]
) -> None:
    tokens = Tokens(rules(path, teams_claim=claim), Clock(NOW))

    found = outcome(tokens, signer().token(**said))

    assert isinstance(found, Claims)
    assert found.teams == teams


def test_one_audience_of_several_is_enough(tokens: Tokens) -> None:
    assert outcome(tokens, signer().token(aud=["somebody", "other"])) == ALICE


def test_only_pinned_algorithms_are_allowed(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(signer("RS256").public_pem)
    tokens = Tokens(rules(str(path), algorithms=("RS256",)), Clock(NOW))
    other = Signer("PS256", "first", signer("RS256").private)

    assert outcome(tokens, signer("RS256").token()) == ALICE
    assert outcome(tokens, other.token()) == NOT_ALLOWED


def test_key_that_names_its_algorithm_is_for_no_other(tmp_path: Path) -> None:
    tokens = with_keys(tmp_path, signer("RS256").jwk(alg="RS256"))
    other = Signer("RS512", "first", signer("RS256").private)

    assert outcome(tokens, other.token()) == "the token's algorithm does not agree with its key"


def test_token_without_a_key_name_needs_exactly_one_key_that_fits(tmp_path: Path) -> None:
    nameless = signer().token({"kid": None})
    one = with_keys(tmp_path, signer("RS256", "other").jwk(), signer().jwk())
    two = with_keys(tmp_path, signer(kid="second").jwk(), signer().jwk())

    assert outcome(one, nameless) == ALICE
    assert outcome(two, nameless) == "the token does not say which of several keys signed it"


def test_keys_that_a_token_brings_along_are_not_looked_at(tokens: Tokens) -> None:
    stranger = signer(kid="stranger")

    found = outcome(tokens, stranger.token({"jwk": stranger.jwk(), "kid": "first"}))

    assert found == "the token's signature is wrong"
