"""TLS towards upstreams: one context per setting, shared by calls and probes.

Made off the loop, since certificates are read from disk. Knows nothing of connections.
"""

import asyncio
import ssl
from typing import Final

from proxy.registry.model import Tls

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class TlsContexts:
    """Contexts by what a server's `tls` says. `clear` to have the files read again."""

    def __init__(self) -> None:
        self._contexts: dict[Tls | None, ssl.SSLContext] = {}

    async def of(self, tls: Tls | None) -> ssl.SSLContext:
        """The context; raises OSError (ssl.SSLError among them) when a file can't be used."""
        context = self._contexts.get(tls)
        if context is None:
            loop = asyncio.get_running_loop()
            context = self._contexts[tls] = await loop.run_in_executor(None, _made, tls)
        return context

    def clear(self) -> None:
        self._contexts.clear()


def _made(tls: Tls | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca if tls else None)
    context.minimum_version = _VERSIONS[tls.min_version if tls else "1.2"]
    context.set_alpn_protocols(["http/1.1"])
    if tls and tls.cert:
        context.load_cert_chain(tls.cert, tls.key)
    return context
