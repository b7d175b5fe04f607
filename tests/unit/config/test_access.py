"""Facts about the settings that say who may call."""

from typing import Any, Final

import pytest

from proxy.config.access import ApiKey, Auth, Jwt, Opa, Policy, Rates
from proxy.config.settings import Settings
from proxy.config.shape import fit
from proxy.config.units import Rate

DIGEST: Final = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdef0123"
KEY: Final[dict[str, object]] = {"name": "app", "sha256": DIGEST}
JWT: Final[dict[str, object]] = {
    "jwks_url": "https://issuer/keys",
    "issuer": "https://issuer",
    "audience": "tools",
}


def read(kind: type, value: object) -> Any:
    found, problems = fit(kind, value)
    assert not problems, problems
    return found


def problem(kind: type, value: object) -> tuple[str, str, str]:
    """Where, which code, what it says."""
    found, problems = fit(kind, value)
    assert found is None
    first = problems[0]
    return ".".join(map(str, first.path)), first.code, first.message


def test_by_default_anybody_may_call_anything() -> None:
    settings = read(Settings, {})

    assert (settings.auth, settings.auth.on) == (Auth(), False)
    assert (settings.policy, settings.rate) == (Policy(opa=None), Rates(None, ""))


# --- keys ---


def test_key_may_call_everything_unless_it_says_less() -> None:
    key = read(ApiKey, KEY)

    assert (key.name, key.sha256, key.key) == ("app", DIGEST, "")
    assert (key.allow, key.teams, key.rate, key.admin) == (("*",), (), None, False)


def test_key_says_what_it_may() -> None:
    key = read(
        ApiKey,
        {
            "name": "a.b-c_d@e",
            "key": "${file:/run/secrets/app key}",
            "allow": ["a.*", "b.t", "b.list_*", "*"],
            "teams": "red",
            "rate": "100/s",
            "admin": True,
        },
    )

    assert (key.key, key.allow) == (
        "${file:/run/secrets/app key}",
        ("a.*", "b.t", "b.list_*", "*"),
    )
    assert (key.teams, key.rate, key.admin) == (("red",), Rate(100.0, 1), True)


@pytest.mark.parametrize("digest", [DIGEST, "${APP_KEY_DIGEST}", "${file:/run/secrets/app}"])
def test_digest_is_written_or_named(digest: str) -> None:
    assert read(ApiKey, {"name": "app", "sha256": digest}).sha256 == digest


@pytest.mark.parametrize(
    ("changed", "where", "code", "says"),
    [
        ({"name": "two words"}, "name", "BAD_VALUE", "1 to 64 letters"),
        ({"name": "x" * 65}, "name", "BAD_VALUE", "1 to 64 letters"),
        ({"name": ""}, "name", "BAD_VALUE", "1 to 64 letters"),
        ({"name": 7}, "name", "BAD_TYPE", "expected a string"),
        ({"name": None}, "name", "MISSING_FIELD", "required"),
        ({"sha256": DIGEST[1:]}, "sha256", "BAD_VALUE", "64 hexadecimal digits"),
        ({"sha256": "plain-text-key"}, "sha256", "BAD_VALUE", "64 hexadecimal digits"),
        ({"sha256": "${file:relative}"}, "sha256", "BAD_VALUE", "64 hexadecimal digits"),
        ({"sha256": 12}, "sha256", "BAD_TYPE", "expected a string"),
        ({"sha256": None, "key": "plain-text-key"}, "key", "BAD_VALUE", "never written here"),
        ({"sha256": None, "key": "a${B}"}, "key", "BAD_VALUE", "never written here"),
        ({"sha256": None, "key": ["${B}"]}, "key", "BAD_TYPE", "expected a string"),
        ({"key": "${B}"}, "sha256", "BAD_VALUE", "and not both"),
        ({"sha256": None}, "sha256", "BAD_VALUE", "and not both"),
        ({"allow": "a.*"}, "allow", "BAD_TYPE", "expected a list of tools, got a string"),
        ({"allow": ["a"]}, "allow", "BAD_VALUE", "ns.tool, ns.* or *"),
        ({"allow": ["*.t"]}, "allow", "BAD_VALUE", "ns.tool, ns.* or *"),
        ({"allow": ["a.*b"]}, "allow", "BAD_VALUE", "ns.tool, ns.* or *"),
        ({"allow": ["a.t\n"]}, "allow", "BAD_VALUE", "ns.tool, ns.* or *"),
        ({"allow": [7]}, "allow", "BAD_TYPE", "expected a string"),
        ({"rate": "0/s"}, "rate", "BAD_VALUE", "above 0"),
        ({"admin": "yes"}, "admin", "BAD_TYPE", "true or false"),
        ({"secret": "x"}, "secret", "UNKNOWN_KEY", "unknown key"),
    ],
)
def test_key_that_will_not_do_is_named(
    changed: dict[str, object], where: str, code: str, says: str
) -> None:
    found = problem(ApiKey, {**KEY, **changed})

    assert (found[:2], says in found[2]) == ((where, code), True), found


@pytest.mark.parametrize("key", ["key", "sha256"])
def test_what_may_be_a_key_is_in_no_message(key: str) -> None:
    assert "plain-text-key" not in str(problem(ApiKey, {"name": "app", key: "plain-text-key"}))


# --- tokens ---


def test_tokens_have_an_issuer_and_an_audience() -> None:
    jwt = read(Jwt, JWT)

    assert (jwt.jwks_url, jwt.key_file, jwt.issuer) == (JWT["jwks_url"], "", "https://issuer")
    assert (jwt.audience, jwt.teams_claim, jwt.algorithms) == (("tools",), "teams", ())


def test_tokens_are_checked_by_a_file_instead() -> None:
    jwt = read(
        Jwt,
        {
            **JWT,
            "jwks_url": None,
            "key_file": "/run/keys.pem",
            "audience": ["a", "b"],
            "teams_claim": "groups",
            "algorithms": ["ES256", "EdDSA"],
        },
    )

    assert (jwt.jwks_url, jwt.key_file, jwt.audience) == ("", "/run/keys.pem", ("a", "b"))
    assert (jwt.teams_claim, jwt.algorithms) == ("groups", ("ES256", "EdDSA"))


@pytest.mark.parametrize(
    ("changed", "where", "code"),
    [
        ({"key_file": "/k"}, "jwks_url", "BAD_VALUE"),
        ({"jwks_url": None}, "jwks_url", "BAD_VALUE"),
        ({"jwks_url": "ftp://keys"}, "jwks_url", "BAD_VALUE"),
        ({"key_file": ""}, "key_file", "BAD_VALUE"),
        ({"issuer": None}, "issuer", "MISSING_FIELD"),
        ({"issuer": ""}, "issuer", "MISSING_FIELD"),
        ({"audience": None}, "audience", "MISSING_FIELD"),
        ({"audience": []}, "audience", "MISSING_FIELD"),
        ({"algorithms": ["HS256"]}, "algorithms.0", "BAD_VALUE"),
        ({"algorithms": ["none"]}, "algorithms.0", "BAD_VALUE"),
    ],
)
def test_tokens_that_cannot_be_checked_are_refused(
    changed: dict[str, object], where: str, code: str
) -> None:
    assert problem(Jwt, {**JWT, **changed})[:2] == (where, code)


# --- both ---


@pytest.mark.parametrize(
    ("auth", "is_on"),
    [({}, False), ({"api_keys": []}, False), ({"api_keys": [KEY]}, True), ({"jwt": JWT}, True)],
)
def test_keys_or_tokens_switch_it_on(auth: dict[str, object], *, is_on: bool) -> None:
    assert read(Auth, auth).on is is_on


def test_both_may_be_required() -> None:
    auth = read(Auth, {"api_keys": [KEY], "jwt": JWT, "require": ["key", "jwt"]})

    assert auth.require == ("key", "jwt")


@pytest.mark.parametrize(
    ("auth", "where"),
    [
        ({"api_keys": [KEY, {**KEY, "sha256": "0" * 64}]}, "api_keys"),
        ({"jwt": JWT, "require": ["key"]}, "require"),
        ({"api_keys": [KEY], "require": ["jwt"]}, "require"),
        ({"api_keys": [KEY], "require": ["password"]}, "require.0"),
    ],
    ids=["two-of-a-name", "no-keys", "no-tokens", "something-else"],
)
def test_what_nobody_could_fulfil_is_refused(auth: dict[str, object], where: str) -> None:
    assert problem(Auth, auth)[:2] == (where, "BAD_VALUE")


# --- policies and rates ---


def test_agent_is_asked_where_the_settings_say() -> None:
    said = {"url": "https://opa", "path": "/v1/data/a/b", "timeout": "2s", "servers": ["db"]}

    opa = read(Opa, said)

    assert opa == Opa(url="https://opa", path="/v1/data/a/b", timeout_s=2.0, servers=("db",))


def test_agent_is_asked_in_opas_usual_place() -> None:
    opa = read(Policy, {"opa": {"url": "http://opa:8181"}}).opa

    assert opa == Opa(url="http://opa:8181", path="/v1/data/mcp/allow", timeout_s=1.0, servers=())


@pytest.mark.parametrize(
    ("changed", "where", "code"),
    [
        ({"url": None}, "url", "MISSING_FIELD"),
        ({"url": "opa:8181"}, "url", "BAD_VALUE"),
        ({"path": "v1"}, "path", "BAD_VALUE"),
        ({"path": "/v1?a=b"}, "path", "BAD_VALUE"),
        ({"path": "/v1#a"}, "path", "BAD_VALUE"),
        ({"path": "/a b"}, "path", "BAD_VALUE"),
        ({"path": 7}, "path", "BAD_TYPE"),
        ({"timeout": 0}, "timeout", "BAD_VALUE"),
        ({"fail": "open"}, "fail", "BAD_VALUE"),
    ],
)
def test_agent_that_cannot_be_asked_is_refused(
    changed: dict[str, object], where: str, code: str
) -> None:
    assert problem(Opa, {"url": "http://opa", **changed})[:2] == (where, code)


@pytest.mark.parametrize(
    ("said", "rates"),
    [
        ("100/s", Rates(Rate(100.0, 1), "")),
        ("redis://h:6379/0", Rates(None, "redis://h:6379/0")),
        ({"caller": "5/m", "redis": "unix:///r.sock"}, Rates(Rate(5.0, 60), "unix:///r.sock")),
        ({"caller": None, "redis": ""}, Rates(None, "")),
        ({}, Rates(None, "")),
    ],
    ids=["a-rate", "a-place", "both", "nothing-said", "empty"],
)
def test_rate_is_of_a_caller_or_counted_together_or_both(said: object, rates: Rates) -> None:
    assert read(Settings, {"rate": said}).rate == rates


@pytest.mark.parametrize(
    ("said", "where", "code"),
    [
        ("often", "rate", "BAD_VALUE"),
        (7, "rate", "BAD_VALUE"),
        (True, "rate", "BAD_TYPE"),
        ([], "rate", "BAD_TYPE"),
        ("http://h", "rate", "BAD_VALUE"),
        ({"caller": "often"}, "rate", "BAD_VALUE"),
        ({"redis": "h:6379"}, "rate", "BAD_VALUE"),
        ({"callers": "1/s"}, "rate.callers", "UNKNOWN_KEY"),
    ],
)
def test_rate_that_is_none_is_refused(said: object, where: str, code: str) -> None:
    assert problem(Settings, {"rate": said})[:2] == (where, code)


# --- certificates ---


def test_certificate_is_known_by_one_name() -> None:
    auth = read(
        Auth, {"certificates": [{"name": "a", "subject": "CN=a"}, {"name": "b", "san": "b"}]}
    )

    assert auth.on
    assert [(each.subject, each.san) for each in auth.certificates] == [("CN=a", ""), ("", "b")]


@pytest.mark.parametrize(
    ("auth", "where"),
    [
        ({"certificates": [{"name": "a"}]}, "certificates.0.subject"),
        (
            {"certificates": [{"name": "a", "subject": "CN=a", "san": "a"}]},
            "certificates.0.subject",
        ),
        ({"certificates": [{"name": "a", "subject": "CN=é"}]}, "certificates.0.subject"),
        ({"certificates": [{"name": "a", "san": n} for n in ("b", "c")]}, "certificates"),
        ({"certificates": [{"name": n, "san": "b"} for n in ("a", "c")]}, "certificates"),
        ({"api_keys": [KEY], "require": ["certificate"]}, "require"),
    ],
)
def test_certificates_that_say_nothing_sure_are_refused(
    auth: dict[str, object], where: str
) -> None:
    assert problem(Auth, auth)[:2] == (where, "BAD_VALUE")
