"""What workers count, put together in the office: each tells, and is nought again.

A worker tells once a second, and whenever the office is asked; so one that is killed takes a second
of it along at most, and what others have counted before it stays. When the office itself is killed,
counters begin at nought as they do in a process that starts. Knows nothing of what is counted.
"""

import asyncio
from typing import Final

from proxy.telemetry.counted import Counted
from proxy.telemetry.elsewhere import Numbers, Part
from proxy.telemetry.metrics import Metrics
from proxy.workers.crew import Crew, Member
from proxy.workers.link import Link
from proxy.workers.post import Post
from proxy.workers.words import COUNTED, NUMBERS, REPORT

_EVERY_S: Final = 1.0
_WITHIN_S: Final = 1.0
_SLICE_S: Final = 0.002


class Tally:
    """The worker's end."""

    def __init__(self, post: Post, metrics: Metrics) -> None:
        self._post = post
        self._metrics = metrics
        self._telling = asyncio.Lock()
        post.hears[REPORT] = self._report

    async def run(self) -> None:
        """Tell every second, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            await self.tell()

    async def tell(self) -> None:
        """All that there is to tell; what can't be told is kept for the next time."""
        async with self._telling:
            pauses = _Pauses()
            moment: Numbers = {}
            counted: Numbers = {}
            for part in self._metrics.part():
                moment |= part.moment
                counted |= part.counted
                await pauses.pause()
            if not self._post.tell(NUMBERS, Part(moment, counted)):
                return
            for piece in list(self._metrics.hand_over()):
                if not self._post.tell(COUNTED, piece):
                    self._metrics.absorb(piece)
                await pauses.pause()

    async def _report(self, _: Link) -> None:
        """The answer comes behind what is told."""
        await self.tell()


class Whole:
    """The office's end: what workers have counted is as if it was counted here."""

    def __init__(self, crew: Crew, metrics: Metrics) -> None:
        self._crew = crew
        self._metrics = metrics
        crew.serve(COUNTED, self._counted)
        crew.serve(NUMBERS, self._numbers)
        crew.on_leave(self._left)
        metrics.elsewhere.renew = self._renew

    async def _renew(self) -> None:
        """Whoever does not answer in time counts with what it said last."""
        await self._crew.ask_all(REPORT, within_s=_WITHIN_S)

    def _counted(self, _: Link, piece: Counted) -> None:
        self._metrics.absorb(piece)

    def _numbers(self, link: Link, part: Part) -> None:
        member = self._crew.member_of(link)
        if member is not None:
            self._metrics.elsewhere.said(member.slot, part)

    def _left(self, member: Member) -> None:
        self._metrics.elsewhere.left(member.slot)


class _Pauses:
    """Lets others have their turn every few milliseconds."""

    def __init__(self) -> None:
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock()

    async def pause(self) -> None:
        if self._clock() - self._since > _SLICE_S:
            await asyncio.sleep(0)
            self._since = self._clock()
