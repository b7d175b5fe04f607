"""The shapes of the fixtures that start something of a test's own."""

from collections.abc import Mapping
from typing import Protocol

from tests.support.origin import Origin, Script
from tests.support.scripts import echo
from tests.support.sidecar import Server, Sidecar


class StartOrigin(Protocol):
    """Starts an upstream that the test's end stops."""

    def __call__(self, script: Script = echo, *, port: int = 0) -> Origin: ...


class StartSidecar(Protocol):
    """Starts a sidecar, from servers or a registry's text; the test's end examines it."""

    def __call__(
        self,
        *servers: Server | str,
        settings: Mapping[str, object] | None = None,
        extra: Mapping[str, str] | None = None,
        forked: bool = True,
    ) -> Sidecar: ...
