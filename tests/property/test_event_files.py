"""Whatever is written to event files, in whatever pieces: what was written is what is read."""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from proxy.events.query import Asked, Event, read_files
from proxy.events.tail import Tail
from tests.support.questions import asked

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)
KEPT = 5

FEW = st.sampled_from(["", "a", "b", 'c"é'])
EVENTS = st.lists(
    st.builds(
        lambda late_s, kind, status, trace_id, server: {
            "late_s": late_s,
            "event_type": kind,
            "status": status,
            "trace_id": trace_id,
            "server_name": server,
        },
        st.integers(0, 30),
        st.sampled_from(["x", "y"]),
        st.sampled_from(["success", "failure", "error"]),
        FEW,
        FEW,
    ),
    max_size=30,
)
WANTED = st.builds(
    asked,
    kinds=st.frozensets(st.sampled_from(["x", "y"]), max_size=1),
    server=FEW,
    trace_id=FEW,
    status=st.sampled_from(["", "success", "failure", "error"]),
    since=st.none() | st.integers(0, 300).map(lambda second: BEGUN + timedelta(seconds=second)),
    limit=st.integers(0, 20),
)


def in_time(events: list[Event]) -> list[Event]:
    """One each ten seconds, but some were written up to half a minute late."""
    return [
        event
        | {
            "timestamp": (
                BEGUN + timedelta(seconds=10 * at - int(str(event["late_s"])))
            ).isoformat()
        }
        for at, event in enumerate(events)
    ]


@given(EVENTS.map(in_time), WANTED, st.integers(1, 300), st.sets(st.integers(0, 30)))
def test_reading_backwards_finds_what_a_filter_would(
    events: list[Event], wanted: Asked, block_bytes: int, cuts: set[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "0")]
        for at, event in enumerate(events):
            if at in cuts:
                files.append(Path(folder, str(len(files))))
            with files[-1].open("ab") as file:
                file.write(orjson.dumps(event) + b"\n")

        found = read_files(files, wanted, block_bytes=block_bytes)

    matching = [event for event in events if wanted.takes(event)]
    assert found == matching[max(0, len(matching) - wanted.limit) :]


class TailMachine(RuleBasedStateMachine):
    """A writer that appends in pieces, rotates and cuts off, and a tail that looks now and then."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "events.jsonl")
        self.taken: list[int] = []
        self.tail = Tail(
            str(self.path), lambda document: self.taken.append(int(str(document["n"])))
        )
        self.count = 0
        self.whole: list[int] = []  # that must be taken
        self.lost: set[int] = set()  # that may be: they were cut off, perhaps before a look
        self.rest = b""  # of a line whose beginning was written
        self.rotated = KEPT  # what came and went before it was ever seen is not looked for
        self.look()

    def teardown(self) -> None:
        self.tail._source.close()
        self.runner.close()
        self.folder.cleanup()

    def write(self, piece: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(piece)

    @rule(length=st.integers(0, 30), cut=st.integers(1, 12))
    def append(self, length: int, cut: int) -> None:
        """A line, or the rest of one and the beginning of another."""
        self.write(self.rest)
        self.whole += [self.count] if self.rest else []
        self.count += 1
        line = b'{"n":%d,"s":"%s"}\n' % (self.count, b"x" * length)
        self.rest = line[-cut:]
        self.write(line[:-cut])

    @rule()
    def end_line(self) -> None:
        if self.rest:
            self.write(self.rest)
            self.whole.append(self.count)
            self.rest = b""

    @rule()
    def rotate(self) -> None:
        self.end_line()
        if self.path.exists() and self.rotated < KEPT:
            for number in range(KEPT, 0, -1):
                older = Path(f"{self.path}.{number}")
                if older.exists():
                    older.rename(f"{self.path}.{number + 1}")
            self.path.rename(f"{self.path}.1")
            self.rotated += 1

    @rule()
    def cut_off(self) -> None:
        """What was not looked at before is lost; so is a half line, whose rest is not written."""
        if self.path.exists():
            self.path.write_bytes(b"")
            self.rest = b""
            self.lost |= set(self.whole) - set(self.taken)

    @rule()
    def look(self) -> None:
        while self.runner.run(self.tail.look()):
            pass
        if self.path.exists():
            self.rotated = 0
            assert set(self.whole) - set(self.taken) <= self.lost

    @invariant()
    def each_is_taken_once_and_in_order(self) -> None:
        assert self.taken == sorted(set(self.taken))
        assert set(self.taken) <= set(self.whole)
        assert self.tail.bad == 0


TestTail = TailMachine.TestCase
