import pytest

from tests.support.conversions import Converted, converted, of_server


def listens(inside: str) -> Converted:
    return converted(f"http {{ server {{ {inside} return 204; }} }}")


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("8080", "0.0.0.0:8080"),
        ("*:81", "0.0.0.0:81"),
        ("127.0.0.1", "127.0.0.1:80"),
        ("[::]:80", "[::]:80"),
        ("unix:/run/x.sock", "unix:/run/x.sock"),
        ("localhost:82", "localhost:82"),
    ],
)
def test_addresses_are_written_in_full(said: str, address: str) -> None:
    found = listens(f"listen {said};")

    assert found.settings["listen"] == [{"address": address, "serves": "routes"}]


def test_without_a_word_it_is_port_80() -> None:
    assert listens("").settings["listen"][0]["address"] == "0.0.0.0:80"


def test_tls_has_all_certificates_the_defaults_first() -> None:
    found = converted(
        "http { ssl_protocols TLSv1.3;"
        " server { listen 443 ssl; server_name a; return 204;"
        " ssl_certificate a.pem; ssl_certificate_key a.key; }"
        " server { listen 443 ssl default_server; return 204;"
        " ssl_certificate b.pem; ssl_certificate_key b.key; } }"
    )

    assert found.settings["listen"][0]["tls"] == {
        "certificates": [{"cert": "b.pem", "key": "b.key"}, {"cert": "a.pem", "key": "a.key"}],
        "min_version": "1.3",
    }


def test_client_certificates_are_asked_for() -> None:
    found = listens(
        "listen 443 ssl proxy_protocol; ssl_certificate a.pem; ssl_certificate_key a.key;"
        " ssl_client_certificate ca.pem; ssl_verify_client optional;"
    )

    assert found.settings["listen"][0]["tls"]["client_certificate"] == "optional"
    assert found.settings["listen"][0]["proxy_protocol"] is True
    assert "trusted_proxies" in found.left_out[0]


@pytest.mark.parametrize(
    ("inside", "why"),
    [
        ("listen 80 http2;", "http2 has no counterpart"),
        ("listen 99999;", "expected a port"),
        ("listen 443 ssl;", "no server here has a certificate"),
        ("listen 443 ssl; ssl_certificate $x; ssl_certificate_key b;", "are files"),
        (
            "listen 443 ssl; ssl_certificate a; ssl_certificate_key b; ssl_protocols TLSv1;",
            "TLSv1: only",
        ),
        (
            "listen 443 ssl; ssl_certificate a; ssl_certificate_key b; ssl_verify_client on;",
            "expected on",
        ),
    ],
)
def test_what_listeners_cannot_be_is_named(inside: str, why: str) -> None:
    assert any(why in line for line in listens(inside).left_out)


def test_an_address_that_another_covers_is_not_opened_twice() -> None:
    found = of_server("listen 127.0.0.1:80; return 204;")

    assert [each["address"] for each in found.settings["listen"]] == ["0.0.0.0:80"]
