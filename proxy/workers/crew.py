"""The workers, as the office sees them: who is there, what they are told, what they say.

Each is kept posted of the newest registry and of all that is learnt of its servers. What workers
ask is answered by whoever has said so with `serve`. Knows nothing of what a registry means.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

from proxy.generations.frames import frames_of
from proxy.generations.reading import Candidate
from proxy.registry.endpoint import Endpoint
from proxy.registry.hearsay import Fact, Hearsay, all_of
from proxy.registry.live import LiveRegistry
from proxy.registry.load import Loaded
from proxy.registry.snapshot import Snapshot
from proxy.workers.link import Hears, Link
from proxy.workers.words import FACT, FRAME, HELLO, OWNED, POSTED

_LOG = logging.getLogger("toolproxy.workers")
_SLICE_S: Final = 0.002
_LOOK_S: Final = 0.02
_NO_SLOT: Final = -1


class Member:
    """One worker that is there: its `slot` stays when another process takes its place."""

    def __init__(self, slot: int, pid: int, link: Link) -> None:
        self.slot = slot
        self.pid = pid
        self.link = link
        self.wanted = asyncio.Event()  # there is a registry that it has not got
        self.posted = asyncio.get_running_loop().create_task(asyncio.sleep(0))

    def __repr__(self) -> str:
        return f"<Member {self.slot} pid {self.pid}>"


class Crew:
    """All workers of this sidecar. `members` are those that are there, by their slots."""

    def __init__(self, registry: LiveRegistry) -> None:
        self.members: dict[int, Member] = {}
        self._registry = registry
        self._hearsay = registry.hearsay = Hearsay(self._pass_on)
        self._hears: dict[str, Hears] = {HELLO: self._hello, FACT: self._heard}
        self._leavers: list[Callable[[Member], None]] = []
        self.owned: tuple[object, ...] = ()  # the paths that the office answers, as it sends them
        self._gone = asyncio.Event()
        self._from: Member | None = None  # whose fact is being taken up
        registry.listen(self._registry_changed)

    def __repr__(self) -> str:
        return f"<Crew of {len(self.members)}>"

    def serve(self, kind: str, hears: Hears) -> None:
        """What workers say of this kind goes to `hears(link, *content)`; what it gives answers."""
        self._hears[kind] = hears

    def on_leave(self, forget: Callable[[Member], None]) -> None:
        """Whoever keeps something of a member must know when it is gone: `forget(member)`."""
        self._leavers.append(forget)

    def protocol(self) -> Link:
        """The factory for the socket that workers connect to."""
        return Link(self._hears, self._lost)

    def member_of(self, link: Link) -> Member | None:
        return next((each for each in self.members.values() if each.link is link), None)

    async def ask_all(self, kind: str, *content: object, within_s: float) -> dict[int, Any]:
        """What each answers, by slot; who does not in time is left out."""
        members = list(self.members.values())
        answers = await asyncio.gather(
            *(each.link.ask(kind, *content, within_s=within_s) for each in members),
            return_exceptions=True,
        )
        return {
            member.slot: answer
            for member, answer in zip(members, answers, strict=True)
            if not isinstance(answer, BaseException)
        }

    async def gone(self) -> None:
        """Wait until nobody is there."""
        while self.members:
            self._gone.clear()
            await self._gone.wait()

    # --- who is there ---

    def _hello(self, link: Link, slot: int, pid: int) -> None:
        before = self.members.get(slot)
        if before is not None:
            before.link.abort()
            self._leave(before)
        self.members[slot] = member = Member(slot, pid, link)
        link.tell(OWNED, *self.owned)
        member.wanted.set()
        member.posted = asyncio.get_running_loop().create_task(self._keep_posted(member))

    def _lost(self, link: Link) -> None:
        member = self.member_of(link)
        if member is not None:
            self._leave(member)

    def _leave(self, member: Member) -> None:
        if self.members.get(member.slot) is member:
            del self.members[member.slot]
        member.posted.cancel()
        for forget in self._leavers:
            forget(member)
        self._gone.set()

    # --- the registry, and what is learnt of its servers ---

    def _registry_changed(self, snapshot: Snapshot, removed: list[Endpoint]) -> None:
        del snapshot, removed
        for member in self.members.values():
            member.wanted.set()

    async def _keep_posted(self, member: Member) -> None:
        """Send the newest registry whenever there is a newer one than it got last."""
        sent: Snapshot | None = None
        while True:
            await member.wanted.wait()
            member.wanted.clear()
            snapshot = self._registry.current
            if snapshot is sent:
                continue
            sent = snapshot
            try:
                if snapshot.generation:
                    await _post(member.link, _written(snapshot))
            except Exception:  # noqa: BLE001 - it comes again, and is posted afresh
                _LOG.exception("A bug of ours in posting the registry")
                member.link.abort()
                return
            for fact in all_of(self._registry.current):
                member.link.tell(FACT, fact)
            member.link.tell(POSTED)

    def _pass_on(self, fact: Fact) -> None:
        """Learnt here, or by one of them: for all the others."""
        for member in self.members.values():
            if member is not self._from:
                member.link.tell(FACT, fact)

    def _heard(self, link: Link, fact: Fact) -> None:
        self._from = self.member_of(link)
        try:
            self._hearsay.hear(self._registry.current, fact)
            self._pass_on(fact)
        finally:
            self._from = None


def _written(snapshot: Snapshot) -> Iterator[bytes]:
    loaded = Loaded(
        servers=tuple(server.spec for server in snapshot.servers.values()),
        quarantined=snapshot.quarantined,
        findings=(),
        identity=snapshot.identity,
    )
    return frames_of(Candidate(loaded, (), None))


async def _post(link: Link, frames: Iterator[bytes]) -> None:
    clock = asyncio.get_running_loop().time
    began_at = clock()
    for frame in frames:
        while link.is_full:  # noqa: ASYNC110 - rare, and a socket's buffer has no event
            await asyncio.sleep(_LOOK_S)
        link.tell(FRAME, frame)
        if clock() - began_at > _SLICE_S:
            await asyncio.sleep(0)
            began_at = clock()
