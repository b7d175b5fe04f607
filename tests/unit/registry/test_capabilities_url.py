"""Facts about where a server has a document of its own."""

import pytest

from proxy.config.settings import Settings
from proxy.registry.load import Loaded, LoadRules, load

RULES = LoadRules.of(Settings())


def loaded(url: str) -> Loaded:
    entry = f"{{namespace: a, name: h, port: 81, capabilities_url: '{url}'}}"
    return load(f"servers:\n- {entry}\n".encode(), "registry.yaml", RULES, {})


def test_server_has_none_unless_it_says_so() -> None:
    text = b"servers:\n- {namespace: a, name: h, port: 81}\n"

    (server,) = load(text, "registry.yaml", RULES, {}).servers

    assert server.capabilities_url is None


@pytest.mark.parametrize(
    "url", ["http://h:81/capabilities/generators?full=1", "https://h", "unix:/run/h.sock:/c"]
)
def test_url_is_kept_as_written(url: str) -> None:
    (server,) = loaded(url).servers

    assert server.capabilities_url == url


@pytest.mark.parametrize(
    "url",
    [
        "h",
        "http://user:password@h/",
        "http://h/a b",
        "http://h/#a",
        "http://169.254.169.254/latest",
        "http://[::ffff:169.254.1.1]/?a=b",
        "unix:/run/docker.sock:/v1/info",
    ],
    ids=["no-url", "password", "space", "fragment", "denied", "denied-mapped", "denied-socket"],
)
def test_server_with_a_bad_one_is_set_aside(url: str) -> None:
    found = loaded(url)

    (finding,) = found.findings
    assert (found.servers, finding.path, finding.code) == (
        (),
        "servers[0].capabilities_url",
        "BAD_URL",
    )
