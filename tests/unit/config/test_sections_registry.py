"""Facts about the settings of the registry: where it is, and whose signatures count."""

from typing import Any

import pytest

from proxy.config.sections import RegistrySettings
from proxy.config.shape import fit


def read(**keys: object) -> Any:
    value, problems = fit(RegistrySettings, keys)
    assert not problems, problems
    return value


def problems_of(**keys: object) -> list[tuple[str, str]]:
    found = fit(RegistrySettings, keys).problems
    return [(".".join(map(str, each.path)), each.message) for each in found]


def test_registry_has_the_defaults_of_the_contract() -> None:
    assert read() == RegistrySettings(
        path="/app/config/registry.yaml",
        url="",
        poll_interval_s=60.0,
        strict=False,
        store="var/registry",
        require_signature=False,
        trusted_keys="",
        profile="default",
        min_version=0,
        on_breaking="accept",
        insecure=False,
    )


@pytest.mark.parametrize(
    "url",
    ["", "https://r/a.json", "http://localhost:1/a", "redis://h:6379/0/key", "rediss://u:p@h/0/k"],
)
def test_url_is_one_of_a_source(url: str) -> None:
    assert read(url=url, insecure=True).url == url


@pytest.mark.parametrize("profile", ["default", "a", "fleet/prod", "a.b-c_D/9", "a" * 64])
def test_profile_is_one_name_or_two(profile: str) -> None:
    assert read(profile=profile).profile == profile


@pytest.mark.parametrize("profile", ["", "/", "a/", "/a", "a/b/c", ".a", "a/..", "ä", "a b"])
def test_profile_that_is_none_is_refused(profile: str) -> None:
    ((key, message),) = problems_of(profile=profile)

    assert (key, "fleet/prod" in message) == ("profile", True)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("url", "ftp://registries/a"),
        ("url", "https://"),
        ("url", "https://a b"),
        ("store", 7),
        ("store", "a\nb"),
        ("trusted_keys", ["keys"]),
        ("min_version", -1),
        ("min_version", 2**53 + 1),
        ("min_version", 1.5),
        ("on_breaking", "ask"),
        ("require_signature", "perhaps"),
    ],
)
def test_what_cannot_be_is_refused(key: str, value: object) -> None:
    assert [at for at, _ in problems_of(**{key: value})] == [key]


def test_store_may_be_off() -> None:
    assert read(store="").store == ""


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"require_signature": True}, "is needed: require_signature"),
        ({"url": "https://a"}, "is needed: a registry from elsewhere must be signed"),
    ],
)
def test_signatures_need_keys(keys: dict[str, object], why: str) -> None:
    assert problems_of(**keys) == [("trusted_keys", why)]


def test_insecure_and_signed_cannot_go_together() -> None:
    keys = {"insecure": True, "require_signature": True, "trusted_keys": "keys"}

    assert [key for key, _ in problems_of(**keys)] == ["insecure"]


@pytest.mark.parametrize(
    ("keys", "needed"),
    [
        ({}, False),
        ({"trusted_keys": "keys"}, False),
        ({"trusted_keys": "keys", "require_signature": True}, True),
        ({"trusted_keys": "keys", "url": "https://a"}, True),
        ({"url": "https://a", "insecure": True}, False),
        ({"insecure": True}, False),
    ],
)
def test_what_must_be_signed(keys: dict[str, object], *, needed: bool) -> None:
    assert read(**keys).needs_signature is needed
