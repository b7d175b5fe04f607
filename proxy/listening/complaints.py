"""What is said of connections that came to nothing: each kind once in a while, with a count.

Knows the words of OpenSSL. Knows nothing of sockets.
"""

import logging
import ssl
from collections.abc import Callable
from typing import Final

_LOG = logging.getLogger("toolproxy.listening")
_SAY_EVERY_S: Final = 1.0
_MOST_KINDS: Final = 100
_TOO_OLD: Final = "a version of TLS was offered that min_version leaves out"
_REASONS: Final = {
    "HTTP_REQUEST": "plain HTTP was sent where TLS is spoken",
    "NO_SHARED_CIPHER": "no cipher was offered that is accepted here",
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "no client certificate was sent, and one is required",
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "VERSION_TOO_LOW": _TOO_OLD,
    "WRONG_VERSION_NUMBER": "what was sent is not TLS",
}
_UNKNOWN_ISSUERS: Final = frozenset(
    {
        "self-signed certificate",
        "self-signed certificate in certificate chain",
        "unable to get local issuer certificate",
    }
)


class Complaints:
    """Lines of the log, bounded: who sends nonsense on purpose fills no disk."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kinds: dict[str, tuple[float, int]] = {}  # when to speak again, and how many since

    def __repr__(self) -> str:
        return f"<Complaints of {len(self._kinds)} kinds>"

    def say(self, subject: str, address: str, what: str) -> None:
        """`tls: 10.0.0.7: client certificate has expired`."""
        kind, now = f"{subject}: {what}", self._clock()
        speak_at, unsaid = self._kinds.get(kind, (0.0, 0))
        if now < speak_at:
            self._kinds[kind] = speak_at, unsaid + 1
            return
        if len(self._kinds) >= _MOST_KINDS:
            self._kinds.clear()
        self._kinds[kind] = now + _SAY_EVERY_S, 0
        more = f" (and {unsaid} more since this was said last)" if unsaid else ""
        _LOG.warning("%s: %s: %s%s", subject, address, what, more)


def handshake_failure(error: OSError) -> str:
    """What went wrong, in words; nothing for callers who just left."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _unverified(str(error.verify_message))
    if isinstance(error, ssl.SSLError):
        reason = str(error.reason or "")
        return _REASONS.get(reason) or f"handshake failed: {reason.lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return "the handshake was not complete in time"
    return ""


def _unverified(message: str) -> str:
    if message in _UNKNOWN_ISSUERS:
        return "client certificate is of an authority that client_ca leaves out"
    if message.startswith("certificate "):
        return f"client {message}"
    return f"client certificate is not accepted: {message}"
