"""Facts about addresses: what they may look like, and where they may lie."""

from pathlib import Path

import pytest

from proxy.config.settings import Settings
from proxy.config.shape import UnfitError
from proxy.registry.address import (
    Address,
    clean_path,
    is_denied,
    parse_address,
    read_endpoint,
    read_health_url,
)

DENY = Settings().upstreams.deny


@pytest.mark.parametrize(
    ("written", "address"),
    [
        (
            "http://10.0.0.5:8081",
            Address(url="http://10.0.0.5:8081", scheme="http", host="10.0.0.5", port=8081),
        ),
        (
            "HTTPS://Example.COM/",
            Address(url="https://example.com:443", scheme="https", host="example.com", port=443),
        ),
        (
            "http://a/b/c/",
            Address(url="http://a:80/b/c", scheme="http", host="a", port=80, base="/b/c"),
        ),
        ("http://[::0:1]:81", Address(url="http://[::1]:81", scheme="http", host="::1", port=81)),
        ("unix:/run/x.sock", Address(url="unix:/run/x.sock", scheme="unix", socket="/run/x.sock")),
        (
            "unix://run/./x.sock:/b/",
            Address(url="unix:/run/x.sock:/b", scheme="unix", socket="/run/x.sock", base="/b"),
        ),
    ],
)
def test_address_has_one_spelling(written: str, address: Address) -> None:
    assert parse_address(written) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a",
        "ftp://a",
        "http://",
        "http:///x",
        "http://u@a",
        "http://u:p@a",
        "http://a:0",
        "http://a:65536",
        "http://a:x",
        "http://a b",
        "http://a\n",
        "http://ä",
        "http://a%41",
        "http://a?x",
        "http://a/x#y",
        "http://a/../b",
        "http://a/%2E%2e/b",
        "http://a/%252fb",
        "http://a/b\\c",
        "http://[::x]",
        "http://[1:2]",
        "http://[fe80::1%25eth0]",
        "http://2130706433",
        "http://0x7f.1",
        "http://127.1",
        "http://0177.0.0.1",
        "http://127.0.0.1.",
        "http://1.2.3.4.5",
        "http://0xa",
        "unix:",
        "unix:x.sock",
        "unix:/x y",
        "unix:/x.sock:b",
        "unix:/x.sock:/../b",
        "http\u017f://a",
    ],
)
def test_url_that_could_mean_anything_else_is_refused(url: str) -> None:
    with pytest.raises(UnfitError) as caught:
        parse_address(url)

    assert caught.value.code == "BAD_URL"


def test_refusal_never_shows_the_password() -> None:
    with pytest.raises(UnfitError) as caught:
        parse_address("http://user:hunter2@a")

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "denied"),
    [
        ("http://169.254.169.254", True),
        ("http://[::ffff:169.254.169.254]", True),
        ("http://[::ffff:a9fe:a9fe]", True),
        ("http://[fe80::1]", True),
        ("http://10.0.0.1", False),
        ("http://[::1]", False),
        ("http://metadata.example", False),
        ("unix:/run/docker.sock", True),
        ("unix://run//x/../docker.sock", True),
        ("unix:/proc/self/root" + "/run/docker.sock", True),
        ("unix:/run/containerd/containerd.sock", True),
        ("unix:/run/containerd-shim.sock", False),
        ("unix:/run/manifest.sock", False),
    ],
)
def test_denied_places_are_denied_in_any_spelling(written: str, *, denied: bool) -> None:
    assert is_denied(parse_address(written), DENY) is denied


def test_link_to_a_denied_socket_is_denied(tmp_path: Path) -> None:
    link = tmp_path / "innocent.sock"
    link.symlink_to("/run/docker.sock")

    assert is_denied(parse_address(f"unix:{link}"), DENY)


def test_endpoint_is_a_url_or_has_a_weight() -> None:
    assert read_endpoint("http://a") == parse_address("http://a")
    assert read_endpoint({"url": "http://a", "weight": 3}).weight == 3


@pytest.mark.parametrize(
    ("value", "code", "key"),
    [
        ({"weight": 1}, "MISSING_FIELD", "url"),
        ({"url": "http://a", "weight": 0}, "BAD_VALUE", "weight"),
        ({"url": "http://a", "wieght": 1}, "UNKNOWN_KEY", "wieght"),
        ({"url": "x"}, "BAD_URL", ""),
    ],
)
def test_broken_endpoint_names_its_key(value: object, code: str, key: str) -> None:
    with pytest.raises(UnfitError) as caught:
        read_endpoint(value)

    assert (caught.value.code, caught.value.key) == (code, key)


def test_health_url_is_kept_as_written() -> None:
    assert read_health_url("http://A:81/health?full=1") == "http://A:81/health?full=1"


@pytest.mark.parametrize("url", ["http://a/x#y", "http://a/x?y z", "http://a/x?\n", "x"])
def test_health_url_has_no_fragment_and_no_spaces(url: str) -> None:
    with pytest.raises(UnfitError):
        read_health_url(url)


@pytest.mark.parametrize("path", ["/", "/a/b.c", "/a..b", "/...", "/%20", "/a;b"])
def test_plain_path_is_clean(path: str) -> None:
    assert clean_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "/a b",
        "/a?b",
        "/a#b",
        "/.",
        "/a/..",
        "/a/./b",
        "/..;x/b",
        "/%2e",
        "/a%5Cb",
        "/a\\b",
        "/\x00",
        "/é",
        "/a%2fb",
        "/a\n",
    ],
)
def test_path_that_could_mean_another_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        clean_path(path)
