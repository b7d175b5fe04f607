"""Facts about which source the settings mean."""

import sys

import pytest

from proxy.config.sections import RegistrySettings
from proxy.generations.source import SourceError
from proxy.generations.sources import source_of


@pytest.mark.parametrize(
    ("url", "source"),
    [
        pytest.param("", "<FileSource conf/registry.yaml>", id="file"),
        pytest.param(
            "https://ann:pw@host/a.yaml",
            "<HttpsSource https://***@host/a.yaml failures=0>",
            id="https",
        ),
        pytest.param(
            "http://host/a.yaml", "<HttpsSource http://host/a.yaml failures=0>", id="http"
        ),
        pytest.param(
            "redis://:pw@host/0/key", "<RedisSource redis://***@host/0/key failures=0>", id="redis"
        ),
        pytest.param(
            "rediss://host/key", "<RedisSource rediss://host/key failures=0>", id="redis-by-tls"
        ),
    ],
)
def test_the_url_says_which_source_it_is_and_the_path_is_for_none(url: str, source: str) -> None:
    settings = RegistrySettings(path="conf/registry.yaml", url=url, insecure=bool(url))

    found = source_of(settings)

    assert (repr(found), found.remote) == (source, bool(url))


@pytest.mark.parametrize("url", ["https://host:port/", "redis://host", "rediss://[::1/key"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(SourceError, match=r"^registry\.url "):
        source_of(RegistrySettings(url=url, insecure=True))


def test_without_the_extra_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)

    with pytest.raises(SourceError) as refused:
        source_of(RegistrySettings(url="redis://host/key", insecure=True))

    assert str(refused.value) == "registry.url needs the extra: pip install 'toolproxy[redis]'"
