"""Opening connections to the target: resolved once, so that no call waits for a name server."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

from benchmarks.load.figures import Fault
from benchmarks.load.request import PlanError, Target, UnreachableError


class Dialer:
    """Opens connections, all of them to the address that the first one reached."""

    def __init__(self, target: Target, tls: ssl.SSLContext | None, timeout_s: float) -> None:
        self._target = target
        self._tls = tls
        self._timeout_s = timeout_s
        self._address = target.host

    async def find(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Open the first connection, at whichever of the target's addresses takes it."""
        error: OSError | None = None
        try:
            for address in await self._addresses():
                self._address = address
                try:
                    return await self.open(protocol)
                except OSError as failure:
                    error = failure
        except OSError as failure:
            error = failure
        raise UnreachableError(f"cannot connect to {self._where}: {reason_of(error)}")

    async def open(self, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        """Open one more; OSError if that can't be done in time."""
        loop = asyncio.get_running_loop()
        name = self._target.host if self._tls else None
        async with asyncio.timeout(self._timeout_s):
            if self._target.unix_path is not None:
                await loop.create_unix_connection(
                    protocol, self._target.unix_path, ssl=self._tls, server_hostname=name
                )
            else:
                await loop.create_connection(
                    protocol, self._address, self._target.port, ssl=self._tls, server_hostname=name
                )

    @property
    def _where(self) -> str:
        return self._target.unix_path or self._target.url

    async def _addresses(self) -> list[str]:
        if self._target.unix_path is not None:
            return [self._target.unix_path]
        found = await asyncio.get_running_loop().getaddrinfo(
            self._target.host, self._target.port, type=socket.SOCK_STREAM
        )
        return [str(each[4][0]) for each in found]


def tls_context(authorities: Path | None, *, insecure: bool) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise PlanError(f"--cacert {authorities}: {reason_of(error)}") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def fault_of(error: OSError) -> Fault:
    """What kind of failure to connect it was."""
    for kind, fault in _FAULTS:
        if isinstance(error, kind):
            return fault
    return Fault.UNCONNECTED


def reason_of(error: OSError | None) -> str:
    """Why, in words without numbers and addresses."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or str(error)).lower().replace("_", " ")
    if error is None:
        return "the name has no address"
    return (error.strerror or str(error)).lower()


_FAULTS = (
    (ConnectionRefusedError, Fault.REFUSED),
    (TimeoutError, Fault.TIMEOUT),
    (ssl.SSLError, Fault.TLS),
)
