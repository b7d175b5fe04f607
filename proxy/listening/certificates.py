"""Certificates: which one does a listener show, whose does it ask for, and when do they end?

Reads files and makes contexts of them; a reload makes new ones, and connections that are there
keep theirs. Knows nothing of sockets.
"""

import ssl
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.x509.extensions import ExtensionNotFound
from cryptography.x509.oid import NameOID

from proxy.config.listeners import Certificate as CertificateFiles
from proxy.config.listeners import Tls
from proxy.listening.handshakes import Context
from proxy.listening.sockets import CannotListenError
from proxy.wire.forwarding import Certificate

# Of TLS 1.2 those with forward secrecy and authenticated encryption; 1.3 has no others.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_QUOTED: Final = frozenset(',;="\\')
_SPACE, _DELETE = 0x20, 0x7F


class BadCertificateError(CannotListenError):
    """Files that the settings name can't be used; the text says which key, and why."""


class Certificates:
    """What one listener shows and asks for. `context` is for the next connection."""

    def __init__(self, key: str, tls: Tls) -> None:
        """Raises `BadCertificateError`."""
        self._key = key
        self._tls = tls
        self.context, self.expiries = _read(f"{key}.tls", tls)

    def __repr__(self) -> str:
        return f"<Certificates of {self._key}>"

    def shown_by(self, ours: ssl.SSLObject) -> Certificate | None:
        """The certificate of a caller; see `shown_by` below."""
        return shown_by(ours)

    def reload(self, tls: Tls) -> None:
        """Read the files again; raises `BadCertificateError`, and what was read before stays."""
        self.context, self.expiries = _read(f"{self._key}.tls", tls)
        self._tls = tls


def _read(key: str, tls: Tls) -> tuple[ssl.SSLContext, dict[str, float]]:
    """The default's context, which knows the others, and when each certificate ends."""
    by_name: dict[str, ssl.SSLContext] = {}
    contexts: list[ssl.SSLContext] = []
    expiries: dict[str, float] = {}
    for at, files in enumerate(tls.shown):
        where = f"{key}.certificates[{at}]" if tls.certificates else key
        context = _context(where, files, tls, key)
        leaf = _leaf(where, files.cert)
        for name in _names_shown(leaf):
            by_name.setdefault(name, context)
        expiries[files.cert] = leaf.not_valid_after_utc.timestamp()
        contexts.append(context)
    if len(contexts) > 1:
        contexts[0].sni_callback = _Chooser(by_name)
    return contexts[0], expiries


def _context(where: str, files: CertificateFiles, tls: Tls, key: str) -> ssl.SSLContext:
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[tls.min_version]
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    _readable(f"{where}.cert", files.cert)
    _readable(f"{where}.key", files.key)
    try:
        # An encrypted key would ask at a terminal, which nobody sits at.
        context.load_cert_chain(files.cert, files.key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise BadCertificateError(_why(where, files, error)) from None
    if tls.client_ca:
        _ask_for_certificates(context, f"{key}.client_ca", tls)
    return context


def _ask_for_certificates(context: ssl.SSLContext, key: str, tls: Tls) -> None:
    _readable(key, tls.client_ca)
    try:
        context.load_verify_locations(tls.client_ca)
    except ssl.SSLError:
        raise BadCertificateError(f"{key}: {tls.client_ca} holds no certificates in PEM") from None
    optional = tls.client_certificate == "optional"
    context.verify_mode = ssl.CERT_OPTIONAL if optional else ssl.CERT_REQUIRED


def _readable(key: str, path: str) -> None:
    try:
        with Path(path).open("rb"):
            pass
    except OSError as error:
        why = str(error.strerror).lower()
        raise BadCertificateError(f"{key}: {path} can't be read: {why}") from None


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is here to be asked for its password")


def _why(where: str, files: CertificateFiles, error: Exception) -> str:
    if not isinstance(error, ssl.SSLError):
        return f"{where}.key: {files.key}: {error}"
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{where}.key: {files.key} does not fit the certificate {files.cert}"
    reason = str(error.reason or "no certificate and key in PEM").lower().replace("_", " ")
    return f"{where}: {files.cert} with {files.key} can't be used: {reason}"


def _leaf(where: str, path: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        raise BadCertificateError(f"{where}.cert: {path} holds no certificate in PEM") from None


def _names_shown(certificate: x509.Certificate) -> Iterator[str]:
    """The names that it is for; where it has none of those, its common name."""
    alternatives = _alternatives(certificate)
    found = alternatives.get_values_for_type(x509.DNSName) if alternatives else []
    if not found:
        found = [
            str(each.value)
            for each in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
    return (name.lower() for name in found)


class _Chooser:
    """The certificate for the name that a caller asks for; for another name the default stays."""

    def __init__(self, by_name: Mapping[str, ssl.SSLContext]) -> None:
        self._by_name = by_name

    def __call__(self, ours: ssl.SSLObject, name: str | None, default: ssl.SSLContext) -> None:
        del default
        if not name:
            return
        asked = name.lower().rstrip(".")
        wildcard = "*." + asked.partition(".")[2]
        found = self._by_name.get(asked) or self._by_name.get(wildcard)
        if found is not None:
            ours.context = found


# --- what callers show ---


def shown_by(ours: ssl.SSLObject) -> Certificate | None:
    """The certificate of the caller, which was verified; None where they showed none."""
    encoded = ours.getpeercert(binary_form=True)
    if encoded is None:
        return None
    certificate = x509.load_der_x509_certificate(encoded)
    subject = _visible(certificate.subject.rfc4514_string())
    names = tuple(_names(certificate))
    return Certificate(
        subject=subject,
        san=b",".join(b"%b:%b" % (kind, name) for kind, name in names),
        forwarded=_forwarded(subject, names),
        names=frozenset(name for _, name in names),
        # A session that is resumed was verified when it began, which may have been before that.
        expired=certificate.not_valid_after_utc < datetime.now(UTC),
    )


def _names(certificate: x509.Certificate) -> Iterator[tuple[bytes, bytes]]:
    for each in _alternatives(certificate) or ():
        kind = _KINDS.get(type(each))
        if kind is not None:
            yield kind, _visible(str(each.value))


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ExtensionNotFound, ValueError):  # a list that can't be read names nobody
        return None


def _forwarded(subject: bytes, names: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Envoy's form of X-Forwarded-Client-Cert."""
    parts = [b"Subject=" + _quoted(subject, always=True)]
    parts += [b"%b=%b" % (kind, _quoted(name)) for kind, name in names if kind in _FORWARDED]
    return b";".join(parts)


def _quoted(value: bytes, *, always: bool = False) -> bytes:
    if not always and _QUOTED.isdisjoint(value.decode("ascii")):
        return value
    return b'"%b"' % value.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def _visible(value: str) -> bytes:
    """As OpenSSL writes names (RFC 4514, 2.4): no byte that a header field may not have."""
    return b"".join(
        b"%c" % each if _SPACE <= each < _DELETE else b"\\%02X" % each for each in value.encode()
    )


_KINDS: Final[dict[type[x509.GeneralName], bytes]] = {
    x509.UniformResourceIdentifier: b"URI",
    x509.DNSName: b"DNS",
    x509.RFC822Name: b"email",
    x509.IPAddress: b"IP",
}
_FORWARDED: Final = frozenset({b"URI", b"DNS"})
