"""One upstream and one sidecar before it, for all tests of a file that leave no state behind."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.support.loop_thread import LoopThread
from tests.support.origin import Origin
from tests.support.scripts import echo
from tests.support.sidecar import Server, Sidecar, registry


class Pair(NamedTuple):
    """Both, running."""

    origin: Origin
    sidecar: Sidecar


@contextlib.contextmanager
def running(
    loop_thread: LoopThread,
    directory: Path,
    servers: Callable[[str], Sequence[Server]],
    settings: Mapping[str, object],
) -> Iterator[Pair]:
    """Start both, end both; `servers` makes the registry of the upstream's URL."""
    origin = Origin(echo)
    loop_thread.run(origin.start())
    sidecar = Sidecar(directory, registry(*servers(origin.url)), settings)
    try:
        yield Pair(origin, sidecar)
    finally:
        sidecar.close()
        loop_thread.run(origin.stop())
