"""Facts about large bodies that must be read whole."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import StreamReader, web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from proxy import errors
from proxy.control_plane import uploads
from proxy.control_plane.uploads import Uploads


class Body:
    """A body on its way to us."""

    def __init__(self, **headers: str) -> None:
        connection = BaseProtocol(asyncio.get_running_loop())
        connection.connection_made(asyncio.Transport())
        self.stream = StreamReader(connection, 2**16)
        self.request: web.Request = make_mocked_request(
            "POST", "/registry/diff", headers=headers, payload=self.stream
        )

    def comes(self, *pieces: bytes) -> "Body":
        for piece in pieces:
            self.stream.feed_data(piece)
        self.stream.feed_eof()
        return self


@pytest.fixture
async def held() -> AsyncIterator[Uploads]:
    held = Uploads()
    yield held
    assert repr(held) == "<Uploads 0 bytes>"


async def test_a_body_is_given_whole(held: Uploads) -> None:
    async with held.whole(Body().comes(b"a", b"b").request) as body:
        assert (body, repr(held)) == (b"ab", "<Uploads 2 bytes>")


async def test_what_is_announced_too_large_is_not_waited_for(held: Uploads) -> None:
    body = Body(**{"Content-Length": "11"})

    with pytest.raises(errors.BodyTooLargeError, match="may have 10 bytes"):
        async with held.whole(body.request, 10):
            pass


async def test_what_grows_too_large_is_refused(held: Uploads) -> None:
    with pytest.raises(errors.BodyTooLargeError):
        async with held.whole(Body().comes(b"x" * 6, b"x" * 6).request, 10):
            pass


async def test_one_that_stalls_holds_up_nobody(held: Uploads) -> None:
    stalled = Body()
    stalled.stream.feed_data(b"{")

    async def waits() -> None:
        async with held.whole(stalled.request):
            pass

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(waits())
        await asyncio.sleep(0)
        async with held.whole(Body().comes(b"ab").request) as body:
            assert (body, waiting.done()) == (b"ab", False)
        stalled.stream.feed_eof()


async def test_one_is_looked_at_at_a_time(held: Uploads) -> None:
    looked_at: list[bytes] = []

    async def look(name: bytes) -> None:
        async with held.whole(Body().comes(name).request) as body:
            looked_at.append(body)
            await asyncio.sleep(0)
            looked_at.append(body)

    async with asyncio.TaskGroup() as tasks:
        for name in (b"a", b"b"):
            tasks.create_task(look(name))

    assert looked_at in ([b"a", b"a", b"b", b"b"], [b"b", b"b", b"a", b"a"])


async def test_more_than_there_is_room_for_is_refused_for_a_while(
    held: Uploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_HELD_BYTES", 3)

    async with held.whole(Body().comes(b"ab").request):
        with pytest.raises(errors.NoRoomError) as refused:
            async with held.whole(Body().comes(b"cd").request):
                pass

    assert refused.value.retry_after_s == 5
