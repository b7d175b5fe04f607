"""Floods of connections: over the limit, reset at once, or never used; who was there goes on."""

from collections import Counter
from typing import Final

import pytest

from proxy.data_plane.roles import LINGER_S
from tests.support.hardening_bystander import Bystander
from tests.support.hardening_crowd import Crowd
from tests.support.hardening_holdings import assert_back, descriptors_of, settled_holdings
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

LIMIT: Final = 100
FLOOD: Final = 500
RESETS: Final = 3000
ENDED_WITHIN_S: Final = 10.0
NARROW: Final = {"limits": {"connections": LIMIT}}
UNUSED: Final = server("o", "http://127.0.0.1:9")


@pytest.mark.slow
def test_connections_over_the_limit_are_refused_and_closed(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url), settings=NARROW)
    before = settled_holdings(sidecar)

    with Bystander(sidecar, newcomers=False) as bystander:
        assert eventually(lambda: bystander.calls)
        with Crowd(sidecar.port, LIMIT + FLOOD) as crowd:
            crowd.listen_until(LIMIT - 1, within_s=ENDED_WITHIN_S)

            assert crowd.statuses == Counter({(): LIMIT - 1, (503,): FLOOD + 1})

    assert _serves(sidecar)
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


def test_refused_callers_that_stay_take_nobodys_place(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(UNUSED, settings=NARROW)
    with Crowd(sidecar.port, LIMIT) as admitted, Crowd(sidecar.port, FLOOD) as refused:
        refused.listen_until(0, within_s=ENDED_WITHIN_S)

        admitted.leave()

        assert eventually(lambda: _serves(sidecar), within_s=LINGER_S / 2)


def test_refused_callers_that_stay_use_up_no_descriptors(start_sidecar: StartSidecar) -> None:
    """A limit of connections that does not limit descriptors protects nobody."""
    sidecar = start_sidecar(UNUSED, settings=NARROW)
    before = descriptors_of(sidecar)
    with Crowd(sidecar.port, LIMIT + FLOOD) as crowd:
        crowd.listen_until(LIMIT, within_s=ENDED_WITHIN_S)

        held = descriptors_of(sidecar) - before

    print(f"{held} descriptors, {LIMIT} connections admitted, {FLOOD} refused")  # noqa: T201
    assert held < LIMIT + FLOOD / 2


def test_flood_over_the_limit_is_said_in_few_words(start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(UNUSED, settings=NARROW)
    with Crowd(sidecar.port, LIMIT + FLOOD) as crowd:
        crowd.listen_until(LIMIT, within_s=ENDED_WITHIN_S)

        eventually(lambda: sidecar.said("connections"))

    assert 1 <= sidecar.stderr.count("connections") < FLOOD / 10


@pytest.mark.slow
def test_flood_of_resets_disturbs_nobody(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    sidecar = start_sidecar(server("o", start_origin().url))
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander:
        for _ in range(0, RESETS, LIMIT):
            Crowd(sidecar.port, LIMIT).reset()

    bystander.assert_undisturbed()
    assert_back(sidecar, before)


@pytest.mark.slow
def test_connections_that_are_never_used_end_at_the_idle_limit(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    idle = {"limits": {"idle": "500ms"}}
    sidecar = start_sidecar(server("o", start_origin().url), settings=idle)
    before = settled_holdings(sidecar)

    with Bystander(sidecar) as bystander, Crowd(sidecar.port, FLOOD) as crowd:
        crowd.listen_until(0, within_s=ENDED_WITHIN_S)

    print(f"the last of {FLOOD} ended after {crowd.longest_s:.2f} s")  # noqa: T201
    assert (crowd.statuses, crowd.open) == (Counter({(): FLOOD}), [])
    bystander.assert_undisturbed()
    assert_back(sidecar, before)


def _serves(sidecar: Sidecar) -> bool:
    return sidecar.get("/livez").status == 200
