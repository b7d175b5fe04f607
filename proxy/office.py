"""The office: a sidecar that is reached through its workers, and knows what they all do.

It has the registry, probes, events and all that is asked beside calls; calls never come here.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, cast

from proxy.config.settings import Settings
from proxy.data_plane.roles import Entryway
from proxy.sidecar import Sidecar
from proxy.workers.crew import Crew
from proxy.workers.ledger import Register
from proxy.workers.permits import Permits
from proxy.workers.place import Place
from proxy.workers.rates import RateDesk
from proxy.workers.relay import Arrival, Served
from proxy.workers.story import Hearing
from proxy.workers.tally import Whole
from proxy.workers.words import EVENTS, TOLD

_BACKLOG: Final = 1024
_ITS_END_S: Final = 2.0  # for workers that have drained, to end


class Office(Sidecar):
    """One sidecar's office."""

    def __init__(
        self,
        settings: Settings,
        reread: Callable[[], Settings],
        environ: Mapping[str, str],
        instance: str,
        place: Place,
        *,
        resumes: bool,
    ) -> None:
        super().__init__(settings, reread, environ, instance, resumes=resumes)
        self._place = place
        self.crew = Crew(self.registry)
        hearing = Hearing(self.hub, self.reporting.recording.denied_elsewhere)
        self.crew.serve(EVENTS, hearing.events)
        self.crew.serve(TOLD, hearing.told)
        Whole(self.crew, self.reporting.recording.metrics)
        RateDesk(self.crew, lambda: self._carrier.admission)
        self._servers: list[asyncio.AbstractServer] = []

    async def _listen(self) -> str:
        """Open what workers connect to; where callers come in is theirs to say."""
        loop, place, door = asyncio.get_running_loop(), self._place, self._carrier.door
        if door is None:
            raise RuntimeError("there is no door yet")
        via = self._carrier.plane.via
        # Their time to hear of what was lent and begun before begins when workers can come.
        Register(self.crew, self._carrier.plane.repeats, resumes=self._resumes)
        Permits(self.crew, self.settings.workers_wanted)
        self.crew.owned = tuple(each.owned for each in self._bridges)

        def serve(entryway: Entryway) -> Served:
            return cast("Served", door.protocol(entryway)())

        for path, protocol in (
            (place.links, self.crew.protocol),
            (place.callers, lambda: Arrival(serve, via)),
        ):
            self._servers.append(await loop.create_unix_server(protocol, path, backlog=_BACKLOG))
        door.start()
        self._show(self._carrier.watch(self.settings))
        return str(self.settings.listeners[0][1].address)

    async def _drained(self) -> None:
        """Workers ask for their callers until the last of them is served."""
        try:
            async with asyncio.timeout(self.settings.drain_timeout_s + _ITS_END_S):
                await self.crew.gone()
        except TimeoutError:
            pass

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        await super().close()
