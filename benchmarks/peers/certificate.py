"""The one certificate that every peer shows where it speaks TLS: P-256, signed by itself.

Made once in a process, and kept in the folders of those who need it.
"""

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_NAME: Final = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bench")])
_VALID_FOR: Final = dt.timedelta(days=1)
_SINCE: Final = dt.timedelta(hours=-1)  # clocks may differ


class Files(NamedTuple):
    """Where it lies."""

    chain: Path
    key: Path
    both: Path  # in one file, as HAProxy reads it


def put_into(folder: Path) -> Files:
    """The certificate of this process."""
    return write(folder, *_made_once())


def write(folder: Path, chain: bytes, key: bytes) -> Files:
    files = Files(folder / "bench.pem", folder / "bench.key", folder / "both.pem")
    files.chain.write_bytes(chain)
    files.key.write_bytes(key)
    files.both.write_bytes(chain + key)
    return files


def make() -> tuple[bytes, bytes]:
    """A new certificate and its private key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + _SINCE)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("bench")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


_made_once = cache(make)
