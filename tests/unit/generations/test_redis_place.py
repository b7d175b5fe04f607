"""Facts about where a URL says that a registry lies in Redis."""

import pytest

from proxy.generations.redis_source import place_of
from proxy.generations.source import SourceError

SECRETS = ("bobby", "p%40ss", "p@ss")


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis://host", id="no-path"),
        pytest.param("redis://host/", id="no-key"),
        pytest.param("redis://host/0", id="only-a-database"),
        pytest.param("redis://host/0/", id="database-without-key"),
        pytest.param("redis://host/a/b", id="database-is-a-word"),
        pytest.param("redis://host//key", id="no-database"),
        pytest.param("redis://bobby:p@ss/word@host/0/key", id="slash-in-the-password"),
        pytest.param("redis://bobby:12/p@ss@host", id="password-like-a-port"),
        pytest.param("redis://bobby:12#p@ss@host/0/key", id="hash-in-the-password"),
        pytest.param("redis://bobby:12?p@ss@host/0/key", id="question-in-the-password"),
        pytest.param("redis://host:port/0/key", id="port-is-a-word"),
        pytest.param("redis://[::1/0/key", id="half-an-address"),
        pytest.param("redis://host/0/key?no_such=p@ss", id="unknown-option"),
        pytest.param("redis:///0/key", id="no-host"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SourceError, match=r"^registry\.url ") as refused:
        place_of(url, "registry.url")

    assert refused.value.__suppress_context__ or refused.value.__context__ is None
    assert not [secret for secret in SECRETS if secret in str(refused.value)]


@pytest.mark.parametrize(
    ("url", "key", "channel", "name"),
    [
        ("redis://host/key", b"key", b"toolproxy:key", "redis://host/key"),
        ("redis://host/2/7", b"7", b"toolproxy:7", "redis://host/2/7"),
        ("rediss://bobby:p%40ss@h:1/a%2Fb", b"a/b", b"toolproxy:a/b", "rediss://***@h:1/a%2Fb"),
    ],
)
def test_an_address_says_where_the_key_is(url: str, key: bytes, channel: bytes, name: str) -> None:
    place = place_of(url, "registry.url")

    assert (place.key, place.channel, place.name) == (key, channel, name)
