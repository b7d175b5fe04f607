"""All listeners together: from open sockets to connections, reload, and the end.

Knows which listener begins its connections how. Knows nothing of who answers.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from proxy.config.listeners import Listener
from proxy.listening.acceptor import Acceptor, Factory, Manner
from proxy.listening.complaints import Complaints
from proxy.listening.sockets import CannotListenError, Opened
from proxy.wire.forwarding import Certificate

if TYPE_CHECKING:
    from proxy.listening.certificates import Certificates

_LOG = logging.getLogger("toolproxy.listening")
CertificateOf = Callable[[ssl.SSLObject], Certificate | None]


class House(NamedTuple):
    """Who the connections are for (see `acceptor.Manner`)."""

    factory: Callable[[Opened, CertificateOf | None], Factory]
    trusts: Callable[[str], bool]
    has_room: Callable[[int], bool]
    patience_s: Callable[[], float]


class Listening:
    """Every listener of this process, served."""

    def __init__(
        self, opened: Iterable[Opened], certificates: Mapping[str, "Certificates"]
    ) -> None:
        self.opened = tuple(opened)
        self._certificates = certificates
        self._acceptors: list[Acceptor] = []

    def __repr__(self) -> str:
        return f"<Listening on {', '.join(each.url for each in self.opened)}>"

    async def serve(self, house: House) -> None:
        complaints = Complaints(asyncio.get_running_loop().time)
        for opened in self.opened:
            certificates = self._certificates.get(opened.key)
            manner = Manner(
                house.factory(opened, certificates.shown_by if certificates else None),
                opened.listener.proxy_protocol,
                certificates,
                house.trusts,
                house.has_room,
                house.patience_s,
                complaints,
            )
            for sock in opened.sockets:
                acceptor = Acceptor(sock, manner)
                await acceptor.start()
                self._acceptors.append(acceptor)

    def reload(self, listeners: Iterable[tuple[str, Listener]]) -> None:
        """Read certificates again; connections that are there keep theirs."""
        for key, listener in listeners:
            certificates = self._certificates.get(key)
            if certificates is None or listener.tls is None:
                continue
            try:
                certificates.reload(listener.tls)
            except CannotListenError as error:
                _LOG.error("Certificates rejected, the running ones stay: %s", error)

    def expiries(self) -> Iterator[tuple[str, float]]:
        """When each certificate ends, in seconds since 1970; by its file."""
        found: dict[str, float] = {}
        for certificates in self._certificates.values():
            found.update(certificates.expiries)
        yield from found.items()

    # --- the end ---

    def close(self) -> None:
        """Accept no more; who was accepted goes on."""
        for acceptor in self._acceptors:
            acceptor.close()
        for opened in self.opened:
            opened.close()

    async def settled(self) -> None:
        """Wait until all who were accepted have begun, or have gone."""
        for acceptor in self._acceptors:
            await acceptor.settled()

    def cut(self) -> None:
        for acceptor in self._acceptors:
            acceptor.cut()


def told_of(opened: Iterable[Opened]) -> str:
    """Where the first listener is; of all others is told here."""
    first, *others = opened
    for each in others:
        what = "operators" if each.listener.serves == "admin" else "also listening"
        _LOG.info("%s on %s", what, each.url)
    return first.url


def certificates_of(listeners: Iterable[tuple[str, Listener]]) -> dict[str, "Certificates"]:
    """Those of each listener that speaks TLS, by its key; raises `CannotListenError`."""
    secured = [(key, listener.tls) for key, listener in listeners if listener.tls is not None]
    if not secured:
        return {}
    from proxy.listening.certificates import Certificates  # noqa: PLC0415 - cryptography: 30 ms

    return {key: Certificates(key, tls) for key, tls in secured}
