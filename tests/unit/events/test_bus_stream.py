"""Reading a stream from scripted answers: places, pages, and what must not be believed."""

import pytest

from proxy.events.bus_link import BusError
from proxy.events.bus_stream import PAGE_ENTRIES, Entry, Stream, event_id_of


class Redis:
    """Answers what it is told to, and remembers what it was asked."""

    def __init__(self, *answers: object) -> None:
        self._answers = list(answers)
        self.asked: list[bytes] = []

    async def ask(self, *words: bytes, within_s: float = 1.0) -> object:
        del within_s
        self.asked.append(b" ".join(words))
        return self._answers.pop(0)


def extent(length: int, first: bytes | None, last: bytes) -> list[object]:
    entry = first and [first, [b"event", b"{}"]]
    return [b"length", length, b"first-entry", entry, b"last-generated-id", last, b"groups", 0]


def entry(stream_id: bytes, data: bytes = b'{"event_id":"x"}') -> list[object]:
    return [stream_id, [b"event", data]]


def page(*entries: object) -> list[object]:
    return [[b"s", list(entries)]]


def at(place: bytes | None, *, most: int = 100) -> Stream:
    stream = Stream("s", most)
    stream.place = place
    return stream


@pytest.mark.parametrize(
    ("place", "answers", "after", "news"),
    [
        pytest.param(None, (0,), b"0-0", "", id="first-look-no-stream"),
        pytest.param(None, (1, extent(2, b"5-0", b"6-0")), b"0-0", "", id="first-look-short"),
        pytest.param(b"6-0", (1, extent(2, b"5-0", b"6-0")), b"6-0", "", id="nothing-new"),
        pytest.param(b"6-0", (1, extent(9, b"5-0", b"16-0")), b"6-0", "", id="more-to-read"),
        pytest.param(b"6-0", (1, extent(2, b"6-1", b"7-0")), b"6-0", "trimmed", id="trimmed"),
        pytest.param(b"6-0", (1, extent(0, None, b"6-0")), b"6-0", "", id="trimmed-to-nothing"),
        pytest.param(b"6-2", (1, extent(2, b"6-0", b"6-1")), b"0-0", "began anew", id="ids-lower"),
        pytest.param(b"10-0", (1, extent(2, b"9-0", b"9-5")), b"0-0", "anew", id="ids-are-numbers"),
        pytest.param(b"6-0", (0,), b"0-0", "deleted", id="deleted"),
        pytest.param(b"0-0", (0,), b"0-0", "", id="still-none"),
        pytest.param(b"0-0", (1, extent(2, b"5-0", b"6-0")), b"0-0", "", id="its-first-entries"),
    ],
)
async def test_the_place_is_kept_or_its_loss_is_told(
    place: bytes | None, answers: tuple[object, ...], after: bytes, news: str
) -> None:
    stream = at(place)

    told = await stream.find_place(Redis(*answers))

    assert (stream.place, news in told, bool(told)) == (after, True, bool(news))


async def test_a_long_stream_is_read_from_its_newest_on() -> None:
    ids = [b"%d-0" % number for number in range(500, 0, -1)]
    pages = [[entry(each) for each in ids[k : k + PAGE_ENTRIES]] for k in (0, 32, 64)]
    redis = Redis(1, extent(500, b"1-0", b"500-0"), *pages)
    stream = at(None, most=70)

    await stream.find_place(redis)

    assert stream.place == b"430-0"
    assert redis.asked[2:] == [
        b"XREVRANGE s + - COUNT 32",
        b"XREVRANGE s (469-0 - COUNT 32",
        b"XREVRANGE s (437-0 - COUNT 32",
    ]


async def test_a_stream_that_shrinks_meanwhile_is_read_whole() -> None:
    redis = Redis(1, extent(500, b"1-0", b"500-0"), [entry(b"500-0")])
    stream = at(None)

    await stream.find_place(redis)

    assert stream.place == b"0-0"


async def test_a_page_begins_after_the_place() -> None:
    redis = Redis(page(entry(b"7-0"), entry(b"7-1", b"{}")))

    entries, more = await at(b"6-0").page(redis, wait_ms=250)

    assert redis.asked == [b"XREAD COUNT 32 BLOCK 250 STREAMS s 6-0"]
    assert entries == [Entry(b"7-0", b"x", b'{"event_id":"x"}'), Entry(b"7-1", b"", b"{}")]
    assert not more


async def test_a_full_page_tells_of_more() -> None:
    full = page(*(entry(b"%d-0" % number) for number in range(1, PAGE_ENTRIES + 1)))

    _, more = await at(b"0-0").page(Redis(full))

    assert more


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"OK", id="a-word"),
        pytest.param([], id="nothing"),
        pytest.param([[b"s", None]], id="no-entries"),
        pytest.param(page(b"1-0"), id="an-entry-that-is-a-word"),
        pytest.param(page([None, [b"event", b"{}"]]), id="no-id"),
        pytest.param(page(entry(b"7-0\n")), id="id-with-line-feed"),
        pytest.param(page(entry(b"seven")), id="id-without-numbers"),
        pytest.param(page(entry(b"6-0")), id="the-same-again"),
        pytest.param(page(entry(b"8-0"), entry(b"7-0")), id="descending"),
    ],
)
async def test_an_answer_that_is_none_is_an_error(answer: object) -> None:
    with pytest.raises(BusError):
        await at(b"6-0").page(Redis(answer))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"OK", id="a-word"),
        pytest.param([], id="nothing"),
        pytest.param(extent(1, b"x", b"6-0"), id="first-id"),
        pytest.param(extent(1, b"5-0", b"x"), id="last-id"),
    ],
)
async def test_an_extent_that_is_none_is_an_error(answer: object) -> None:
    with pytest.raises(BusError):
        await at(b"6-0").find_place(Redis(1, answer))


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param([], id="none"),
        pytest.param([b"event"], id="half-a-pair"),
        pytest.param([b"other", b'{"event_id":"x"}'], id="another"),
        pytest.param(None, id="deleted"),
        pytest.param([b"event", 7], id="a-number"),
    ],
)
async def test_an_entry_without_event_is_bad_and_still_a_place(fields: object) -> None:
    stream = at(b"6-0")

    entries, _ = await stream.page(Redis(page([b"7-0", fields])))

    assert ([each[:2] for each in entries], stream.bad) == ([(b"7-0", b"")], 1)


@pytest.mark.parametrize(
    ("data", "event_id"),
    [
        pytest.param(b'{"event_id":"a-1","n":1}', b"a-1", id="an-event"),
        pytest.param('{"event_id":"ä"}'.encode(), "ä".encode(), id="not-only-ascii"),
        pytest.param(b'{"event_id":""}', b"", id="empty"),
        pytest.param(b'{"event_id":null}', b"", id="null"),
        pytest.param(b'{"n":1}', b"", id="missing"),
        pytest.param(b'"event_id"', b"", id="no-object"),
        pytest.param(b'{"event_id":"\xff"}', b"", id="not-utf8"),
        pytest.param(b"[" * 5_000, b"", id="deep"),
        pytest.param(b'{"event_id":"a","b":1}\n', b"", id="line-feed"),
        pytest.param(b"", b"", id="nothing"),
    ],
)
def test_only_an_object_with_an_id_is_an_event(data: bytes, event_id: bytes) -> None:
    assert event_id_of(data) == event_id


def test_additions_are_commands_of_redis() -> None:
    added = Stream("key", 50).additions([b"{}", b"[1]"])

    head = b"*8\r\n$4\r\nXADD\r\n$3\r\nkey\r\n$6\r\nMAXLEN\r\n$1\r\n~\r\n$2\r\n50\r\n$1\r\n*\r\n"
    assert added == b"".join(
        (head, b"$5\r\nevent\r\n$2\r\n{}\r\n", head, b"$5\r\nevent\r\n$3\r\n[1]\r\n")
    )
