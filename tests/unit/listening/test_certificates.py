"""Facts about certificates: which files will do, what is said of the others, who a caller is."""

import ipaddress
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from proxy.config.listeners import Certificate, Tls
from proxy.listening.certificates import Certificates, shown_by
from proxy.listening.sockets import CannotListenError
from tests.support.pki import Authority

NAMES = (
    x509.DNSName("a.example"),
    x509.UniformResourceIdentifier("spiffe://x/a?b=c,d"),
    x509.RFC822Name("ann@x.example"),
    x509.IPAddress(ipaddress.ip_address("10.0.0.7")),
    x509.RegisteredID(x509.ObjectIdentifier("1.2.3")),
)


class Shows:
    """A connection whose caller showed this certificate."""

    def __init__(self, encoded: bytes | None) -> None:
        self._encoded = encoded

    def getpeercert(self, *, binary_form: bool) -> bytes | None:
        assert binary_form
        return self._encoded


def certificate(
    *subject: tuple[x509.ObjectIdentifier, str],
    names: tuple[x509.GeneralName, ...] = (),
    ends_at: datetime | None = None,
) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(oid, value) for oid, value in subject])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=now - timedelta(days=9),
        not_valid_after=ends_at or now + timedelta(days=1),
    )
    if names:
        built = built.add_extension(x509.SubjectAlternativeName(names), critical=False)
    signed = built.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def seen(encoded: bytes | None) -> object:
    return shown_by(Shows(encoded))  # type: ignore[arg-type]  # all that is asked of it


# --- callers ---


def test_who_shows_none_is_nobody() -> None:
    assert seen(None) is None


def test_all_names_are_read_and_forwarded() -> None:
    encoded = certificate(
        (NameOID.ORGANIZATION_NAME, "x"), (NameOID.COMMON_NAME, "ann"), names=NAMES
    )

    found = shown_by(Shows(encoded))  # type: ignore[arg-type]  # as above

    assert found is not None
    assert found.subject == b"CN=ann,O=x"
    assert found.san == (b"DNS:a.example,URI:spiffe://x/a?b=c,d,email:ann@x.example,IP:10.0.0.7")
    assert found.forwarded == b'Subject="CN=ann,O=x";DNS=a.example;URI="spiffe://x/a?b=c,d"'
    assert b"spiffe://x/a?b=c,d" in found.names
    assert not found.expired


@pytest.mark.parametrize(
    ("name", "subject", "forwarded"),
    [
        ('a"b', b'CN=a\\"b', b'Subject="CN=a\\\\\\"b"'),
        ("a,b", b"CN=a\\,b", b'Subject="CN=a\\\\,b"'),
        ("é", b"CN=\\C3\\A9", b'Subject="CN=\\\\C3\\\\A9"'),
        ("a\r\nX-Admin: 1", b"CN=a\\0D\\0AX-Admin: 1", b'Subject="CN=a\\\\0D\\\\0AX-Admin: 1"'),
    ],
)
def test_name_can_not_break_out_of_a_field(name: str, subject: bytes, forwarded: bytes) -> None:
    found = shown_by(Shows(certificate((NameOID.COMMON_NAME, name))))  # type: ignore[arg-type]  # as above

    assert found is not None
    assert (found.subject, found.san, found.forwarded) == (subject, b"", forwarded)


def test_one_that_ended_meanwhile_is_known_to_have() -> None:
    ended = datetime.now(UTC) - timedelta(seconds=5)

    found = shown_by(Shows(certificate(ends_at=ended)))  # type: ignore[arg-type]  # as above

    assert found is not None
    assert found.expired


# --- files ---


@pytest.mark.parametrize(
    ("said", "mode"), [("", ssl.CERT_REQUIRED), ("optional", ssl.CERT_OPTIONAL)]
)
def test_callers_must_show_a_certificate_unless_it_is_optional(
    tmp_path: Path, said: Literal["", "optional"], mode: ssl.VerifyMode
) -> None:
    authority = Authority(tmp_path)
    pair = authority.server("one", "a.example")

    tls = Tls(cert=pair["cert"], key=pair["key"], client_ca=pair["cert"], client_certificate=said)

    assert Certificates("listen", tls).context.verify_mode is mode


def test_files_are_read_and_their_end_known(tmp_path: Path) -> None:
    ends_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    pair = Authority(tmp_path).server("one", "a.example", ends_at=ends_at)

    certificates = Certificates("listen", Tls(cert=pair["cert"], key=pair["key"]))

    assert certificates.expiries == {pair["cert"]: ends_at.timestamp()}
    assert certificates.context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert {each["name"].split("-")[0] for each in certificates.context.get_ciphers()} <= {
        "ECDHE",
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    }


Spoil = Callable[[Path, dict[str, str]], Tls]


def _gone(_: Path, pair: dict[str, str]) -> Tls:
    return Tls(cert=pair["cert"] + "x", key=pair["key"])


def _no_key(_: Path, pair: dict[str, str]) -> Tls:
    return Tls(cert=pair["cert"], key=pair["key"] + "x")


def _swapped(folder: Path, pair: dict[str, str]) -> Tls:
    other = Authority(folder, "other").server("two", "b.example")
    return Tls(certificates=(Certificate(**pair), Certificate(cert=pair["cert"], key=other["key"])))


def _nonsense(_: Path, pair: dict[str, str]) -> Tls:
    Path(pair["cert"]).write_text("nonsense")
    return Tls(cert=pair["cert"], key=pair["key"])


def _encrypted(_: Path, pair: dict[str, str]) -> Tls:
    key = serialization.load_pem_private_key(Path(pair["key"]).read_bytes(), None)
    encryption = serialization.BestAvailableEncryption(b"secret")
    form = serialization.PrivateFormat.PKCS8
    Path(pair["key"]).write_bytes(key.private_bytes(serialization.Encoding.PEM, form, encryption))
    return Tls(cert=pair["cert"], key=pair["key"])


def _no_authority(folder: Path, pair: dict[str, str]) -> Tls:
    (folder / "empty").write_text("")
    return Tls(cert=pair["cert"], key=pair["key"], client_ca=str(folder / "empty"))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_gone, r"^listen\.tls\.cert: .*one\.pemx can't be read: no such file"),
        (_no_key, r"^listen\.tls\.key: .*one\.keyx can't be read: no such file"),
        (_swapped, r"^listen\.tls\.certificates\[1\]\.key: .* does not fit the certificate .*one"),
        (_nonsense, r"^listen\.tls: .*one\.pem with .*one\.key can't be used"),
        (_encrypted, r"^listen\.tls\.key: .*one\.key: the key is encrypted"),
        (_no_authority, r"^listen\.tls\.client_ca: .*empty holds no certificates in PEM"),
    ],
)
def test_file_that_will_not_do_is_named(tmp_path: Path, spoil: Spoil, said: str) -> None:
    tls = spoil(tmp_path, Authority(tmp_path).server("one", "a.example"))

    with pytest.raises(CannotListenError, match=said):
        Certificates("listen", tls)


def test_bad_reload_leaves_what_was(tmp_path: Path) -> None:
    pair = Authority(tmp_path).server("one", "a.example")
    certificates = Certificates("listen", Tls(cert=pair["cert"], key=pair["key"]))
    context = certificates.context

    with pytest.raises(CannotListenError):
        certificates.reload(_nonsense(tmp_path, pair))

    assert certificates.context is context
