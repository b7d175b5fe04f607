"""The product in this very process, on a loop that can be asked what lives on it."""

import asyncio
import gc
import logging
from collections import Counter
from pathlib import Path
from typing import Final, Self

from proxy.config.settings import load_settings
from proxy.generations.reading import Candidate, Job, read_file
from proxy.sidecar import Sidecar
from tests.support.loop_thread import LoopThread

_OURS: Final = "proxy."


class Inside:
    """A started `Sidecar`; the end of the `with` undoes all that it did to this process."""

    def __init__(self, loop_thread: LoopThread, directory: Path, servers: str) -> None:
        self._loop_thread = loop_thread
        self._registry_path = directory / "registry.yaml"
        self._registry_path.write_text(servers)
        self._thresholds = gc.get_threshold()
        self._log_level = logging.getLogger().level
        self.port = 0
        self._sidecar: Sidecar

    def __enter__(self) -> Self:
        self._loop_thread.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._loop_thread.run(self._sidecar.close())
        gc.unfreeze()
        gc.set_threshold(*self._thresholds)
        logging.getLogger().setLevel(self._log_level)

    def reload(self, servers: str) -> None:
        """A new text in force."""
        self._registry_path.write_text(servers)
        self._loop_thread.run(self._sidecar.reload())

    def census(self) -> Counter[str]:
        """The product's objects and the loop's tasks, by type, once garbage is collected."""
        return self._loop_thread.run(self._count())

    async def _start(self) -> None:
        flags = {
            "listen": "127.0.0.1:0",
            "registry.path": str(self._registry_path),
            "registry.store": str(self._registry_path.with_name("generations")),
        }
        settings = load_settings(None, {}, flags | {"log_level": "error"})
        self._sidecar = Sidecar(settings, lambda: settings, {})
        self._sidecar.registrar._read = _read_here
        address = await self._sidecar.start()
        self.port = int(address.rpartition(":")[2])

    async def _count(self) -> Counter[str]:
        gc.collect()
        kinds = map(type, gc.get_objects())
        census = Counter(kind.__name__ for kind in kinds if kind.__module__.startswith(_OURS))
        census["Task"] = len(asyncio.all_tasks())
        return census


async def _read_here(job: Job, handle: int | None) -> Candidate:
    """Without a process for each reload: that is in `test_leaks`, and takes 0.1 s."""
    del handle
    return read_file(job, {})
