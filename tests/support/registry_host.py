"""A real HTTPS server that documents are fetched from; a test says which, and what goes wrong."""

import hashlib
import ssl
from pathlib import Path
from typing import Self

import trustme

from tests.support.messages import ok
from tests.support.origin import Origin, Script, Visit
from tests.support.scripts import answers

NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\n\r\n"


class RegistryHost:
    """Serves `documents` by path, each with an entity tag; `fault` answers in place of a document.

    An async context; `stop` and `start` in between are a server that is away and back again.
    """

    def __init__(self, name: str = "127.0.0.1") -> None:
        """`name` is what the certificate says."""
        self.documents: dict[str, bytes] = {}
        self.has_entity_tags = True
        self.fault: Script | None = None
        self.sent: list[tuple[str, int]] = []  # path and status of what was not a fault
        self.origin = Origin(self._answer)
        self._authority = trustme.CA()
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._authority.issue_cert(name).configure_cert(self._tls)

    def __repr__(self) -> str:
        return f"<RegistryHost {self.url} sent={len(self.sent)}>"

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.origin.port}"

    def authorities(self, folder: Path) -> Path:
        """A file for `SSL_CERT_FILE`, with the authority that this server's certificate is from."""
        path = folder / "authorities.pem"
        self._authority.cert_pem.write_to_path(str(path))
        return path

    async def start(self) -> None:
        """At the port that it had before, if it had one."""
        await self.origin.start(tls=self._tls, port=self.origin.port)

    async def stop(self) -> None:
        await self.origin.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _answer(self, visit: Visit) -> None:
        path = visit.target.decode().partition("?")[0]
        document = self.documents.get(path)
        if self.fault is not None and document is not None:
            await self.fault(visit)
            return
        status, answer = self._answer_with(document, visit.value("if-none-match"))
        self.sent.append((path, status))
        await answers(answer)(visit)

    def _answer_with(self, document: bytes | None, known: str | None) -> tuple[int, bytes]:
        if document is None:
            return 404, NOT_FOUND
        if not self.has_entity_tags:
            return 200, ok(document)
        entity_tag = f'"{hashlib.sha256(document).hexdigest()[:16]}"'
        if known == entity_tag:
            return 304, NOT_MODIFIED
        return 200, ok(document, b"ETag: " + entity_tag.encode())
