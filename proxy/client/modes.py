"""Which transports may a client use?"""

from enum import Enum

from proxy.client.errors import TransportModeError


class TransportMode(Enum):
    """What a client may use; `AUTO` takes what each call needs."""

    AUTO = "auto"
    HTTP_ONLY = "http_only"  # lists, infos, invocations
    SSE_ONLY = "sse_only"  # event streams
    STDIO_ONLY = "stdio_only"  # local servers

    def require(self, needed: "TransportMode", what: str) -> None:
        """Raise `TransportModeError` unless `what` may go over the transport that it needs."""
        if self not in (TransportMode.AUTO, needed):
            raise TransportModeError(
                f"{what} needs TransportMode.AUTO or TransportMode.{needed.name}, "
                f"and this client has TransportMode.{self.name}"
            )
