"""Slowloris: heads that come byte by byte end at the head timeout, and disturb nobody."""

from collections import Counter
from collections.abc import Iterable
from itertools import cycle
from typing import Final

import pytest

from tests.support.hardening_bystander import Bystander
from tests.support.hardening_crowd import Crowd
from tests.support.hardening_holdings import assert_back, settled_holdings
from tests.support.messages import post
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar

SIZE: Final = 300
SETTINGS: Final = {"limits": {"head_timeout": "500ms"}}
ENDED_WITHIN_S: Final = 10.0
HEAD: Final = b"GET /tools HTTP/1.1\r\nHost: a\r\nX-A: " + b"v" * 10_000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "drops", "statuses"),
    [
        pytest.param(b"", HEAD, (408,), id="first-head"),
        pytest.param(post("/tools/o.call"), HEAD, (200, 408), id="head-behind-a-call"),
        pytest.param(b"", cycle(b"\r\n"), (408,), id="empty-lines"),
    ],
)
def test_heads_that_drip_end_at_the_head_timeout(
    start_origin: StartOrigin,
    start_sidecar: StartSidecar,
    first: bytes,
    drops: Iterable[int],
    statuses: tuple[int, ...],
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings=SETTINGS)
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander, Crowd(sidecar.port, SIZE) as crowd:
        crowd.send(first)
        crowd.drip(drops, within_s=ENDED_WITHIN_S)
        crowd.listen_until(0, within_s=ENDED_WITHIN_S)

    print(f"the last of {SIZE} ended after {crowd.longest_s:.2f} s")  # noqa: T201 - a figure
    assert (crowd.statuses, crowd.open) == (Counter({statuses: SIZE}), [])
    assert crowd.longest_s < ENDED_WITHIN_S
    bystander.assert_undisturbed()
    assert_back(sidecar, before)
