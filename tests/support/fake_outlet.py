"""A subscriber's end of the line, opened and shut by hand, and a hub whose time stands still."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

import orjson

from proxy.data_plane.upstream import Upstream
from proxy.events.event import Wanted
from proxy.events.hub import Hub
from proxy.events.subscription import Subscription
from tests.support.event_reader import Message, Unchunked, WhatwgParser
from tests.support.transcript import ManualLoop

ResultT = TypeVar("ResultT")

ROUND_S: Final = 0.05  # more than the fan-out waits for events to share a write
_LEFT_ALONE_AFTER: Final = 20  # turns of the loop


class Listener(Protocol):
    """Who is told that the line is full, that it is free again, and that it is over."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def over(self) -> None: ...


class FakeOutlet:
    """Takes all there is while it is open; shut, it says `pause` within a write, as sockets do.

    `came` is what the reader at the far end has.
    """

    def __init__(self, high_water_bytes: int = 0) -> None:
        self.listener: Listener | None = None
        self.came = b""
        self.writes = 0
        self.aborted = False
        self.ended = False
        self._high_water_bytes = high_water_bytes
        self._unsent = b""
        self._shut = False
        self._paused = False

    @property
    def unsent_bytes(self) -> int:
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        assert data, "an empty write"
        assert not self.ended, f"written after the end: {data!r}"
        self.writes += 1
        if not self._shut:
            self.came += data
            return
        self._unsent += data
        if len(self._unsent) > self._high_water_bytes and not self._paused:
            self._paused = True
            if self.listener is not None:
                self.listener.pause()

    def end(self) -> None:
        """The last byte is out; that it is over is known at the loop's next turn."""
        assert not self.ended, "ended twice"
        self.ended = True
        if self.listener is not None:
            asyncio.get_running_loop().call_soon(self.listener.over)

    def abort(self) -> None:
        self.aborted = True

    def shut(self) -> None:
        """The reader takes nothing from now on."""
        self._shut = True

    def take_some(self, size: int) -> None:
        """The reader takes so many bytes, and no more."""
        self.came, self._unsent = self.came + self._unsent[:size], self._unsent[size:]

    def open(self) -> None:
        """The reader takes what there is, and goes on to."""
        self._shut = False
        self.take_some(len(self._unsent))
        if self._paused:
            self._paused = False
            if self.listener is not None:
                self.listener.resume()


class Listening:
    """One who listens at a station: his outlet and his subscription."""

    def __init__(self, outlet: FakeOutlet, subscription: Subscription, *, chunked: bool) -> None:
        self.outlet = outlet
        self.subscription = subscription
        self.chunked = chunked

    @property
    def text(self) -> bytes:
        """What came, without its framing."""
        return Unchunked().take(self.outlet.came) if self.chunked else self.outlet.came

    @property
    def messages(self) -> list[Message]:
        return WhatwgParser().feed(self.text)

    @property
    def kinds(self) -> list[str]:
        return [message.event for message in self.messages]


class Station:
    """A hub on a loop of its own; time passes when told to."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.loop = ManualLoop(_connect_to_nobody)
        self.complaints: list[dict[str, object]] = []
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self.hub = self.does(lambda: Hub(capacity))

    @property
    def epoch(self) -> str:
        return self.hub.ring.epoch.decode()

    def does(self, action: Callable[[], ResultT]) -> ResultT:
        """On the loop, and whatever follows at once."""

        async def act() -> ResultT:
            return action()

        done = self.loop.run_until_complete(act())
        self.settle()
        return done

    def settle(self) -> None:
        for _ in range(_LEFT_ALONE_AFTER):
            self.loop.call_soon(self.loop.stop)
            self.loop.run_forever()

    def passes(self, seconds: float = ROUND_S) -> None:
        self.loop.moment += seconds
        self.settle()

    def tells(self, *kinds: str, facts: Mapping[str, object] | None = None) -> None:
        """Events of these types, all within one turn of the loop."""

        def tell() -> None:
            for kind in kinds:
                self.hub.tell(kind, facts or {})

        self.does(tell)

    def listens(
        self,
        wanted: Wanted | None = None,
        last_id: str = "",
        *,
        chunked: bool = True,
        outlet: FakeOutlet | None = None,
        then: Callable[[], None] = lambda: None,
    ) -> Listening:
        """Somebody joins; `then` happens in the same turn of the loop."""
        outlet = outlet or FakeOutlet()

        def subscribe() -> Subscription:
            one = self.hub.subscribe(outlet, wanted or Wanted(), last_id.encode(), chunked=chunked)
            outlet.listener = one
            then()
            return one

        return Listening(outlet, self.does(subscribe), chunked=chunked)

    def newest(self, wanted: Wanted, most: int) -> list[dict[str, object]]:
        """What the ring holds of these, oldest first."""
        found = self.loop.run_until_complete(self.hub.newest(wanted, most))
        return [orjson.loads(each) for each in found]

    def leaves(self, one: Listening) -> None:
        self.does(one.subscription.over)

    def close(self) -> None:
        """The end: nobody complained."""
        self.loop.close()
        assert not self.complaints, self.complaints


class StartStation(Protocol):
    """Starts a hub with a ring and queues of these sizes; the test's end closes it."""

    def __call__(self, capacity: int = 10_000, queue: int = 1_000) -> Station: ...


async def _connect_to_nobody(
    new: Callable[[], Upstream], host: str
) -> tuple[asyncio.Transport, Upstream]:
    raise OSError(f"a hub connects to nobody, so not to {host} by {new}")
