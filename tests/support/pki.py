"""Certificates for tests: an authority, and what it gives to servers and callers."""

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import trustme

LONG_AGO: Final = datetime.now(UTC) - timedelta(days=1)


class Authority:
    """Gives certificates; `path` is its own, as a file."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._ca = trustme.CA(organization_name=name)
        self.path = folder / f"{name}.pem"
        self._ca.cert_pem.write_to_path(str(self.path))

    def __repr__(self) -> str:
        return f"<Authority {self.path.name}>"

    def server(self, file: str, *names: str, ends_at: datetime | None = None) -> dict[str, str]:
        """A certificate and its key in files of this name, as the settings name them."""
        cert, key = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        given = self._ca.issue_cert(*names, not_after=ends_at)
        chain = b"".join(each.bytes() for each in given.cert_chain_pems)
        cert.write_bytes(chain)
        given.private_key_pem.write_to_path(str(key))
        return {"cert": str(cert), "key": str(key)}

    def trusting(self) -> ssl.SSLContext:
        """What a caller has who trusts this authority, and shows nothing."""
        return ssl.create_default_context(cafile=str(self.path))

    def showing(
        self, *names: str, common_name: str = "", ends_at: datetime | None = None
    ) -> ssl.SSLContext:
        """What a caller has who also shows a certificate of it."""
        context = self.trusting()
        given = self._ca.issue_cert(*names, common_name=common_name or None, not_after=ends_at)
        given.configure_cert(context)
        return context
