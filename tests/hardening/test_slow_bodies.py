"""Bodies that drip, or stop half-way: they end at the deadline, and hold no upstream after it."""

import contextlib
from collections import Counter
from itertools import cycle
from typing import Final

import pytest

from proxy.data_plane.roles import LINGER_S
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_crowd import Crowd
from tests.support.hardening_holdings import assert_back, settled_holdings
from tests.support.messages import message, ok
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.transcript import Transcript
from tests.support.waiting import eventually

SIZE: Final = 100
ENDED_WITHIN_S: Final = 10.0
ROOM: Final = {"max_connections": 2 * SIZE, "max_requests": 2 * SIZE}
COUNTED: Final = message(b"POST /tools/slow.call HTTP/1.1", b"Host: a", b"Content-Length: 99999")
CHUNKED: Final = message(
    b"POST /tools/slow.call HTTP/1.1", b"Host: a", b"Transfer-Encoding: chunked"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("head", "drops"),
    [
        pytest.param(COUNTED, b"x" * 10_000, id="counted-drips"),
        pytest.param(CHUNKED, cycle(b"1\r\nx\r\n"), id="chunked-drips"),
        pytest.param(CHUNKED, b"1;" + b"x" * 4000, id="chunk-extension-drips"),
        pytest.param(COUNTED, b"xxx", id="stops-half-way"),
    ],
)
def test_bodies_that_are_slow_end_at_the_deadline(
    start_origin: StartOrigin, start_sidecar: StartSidecar, head: bytes, drops: bytes
) -> None:
    slow = start_origin()
    sidecar = start_sidecar(
        server("o", start_origin().url), server("slow", slow.url, timeout="500ms", limits=ROOM)
    )
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander, Crowd(sidecar.port, SIZE) as crowd:
        crowd.send(head)
        crowd.drip(drops, within_s=ENDED_WITHIN_S)
        crowd.listen_until(0, within_s=ENDED_WITHIN_S)

    print(f"the last of {SIZE} ended after {crowd.longest_s:.2f} s")  # noqa: T201 - a figure
    assert (crowd.statuses, crowd.open) == (Counter({(408,): SIZE}), [])
    assert eventually(lambda: not slow.open_connections)
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


def test_body_that_drips_behind_its_answer_is_not_waited_for_for_ever() -> None:
    """It can change nothing any more, and it holds an upstream connection."""
    with contextlib.closing(Transcript("", None, None)) as t:
        t.client_sends(COUNTED.replace(b"slow.call", b"o.call"))
        t.upstream_sends(ok())
        for _ in range(10):
            t.client_sends(b"x")
            t.passes(LINGER_S / 2)

        assert (t.upstream.fate, t.client.fate) == ("aborted", "aborted")
