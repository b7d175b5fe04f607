"""The same odd bytes to the sidecar, nginx and HAProxy: where they disagree, it is known why."""

import asyncio

import pytest
import uvloop

from tests.fuzz.differences import LAXER, STRICTER, UNSTEADY, Stricter
from tests.fuzz.oddities import ODDITIES
from tests.support.fuzz_finds import Finds
from tests.support.fuzz_messages import Messages, seeded
from tests.support.fuzz_mutations import mutated
from tests.support.fuzz_peers import INSTALLED, SIDECAR, Outcome, running
from tests.support.fuzz_reading import Odd
from tests.support.fuzz_story import Story, route

SEED = 3
GENERATED = 1_500
PEERS = ("nginx", "haproxy")
# Behind each case: to see where it ends, and to have the connection closed.
LAST = b"GET /servers/f/last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

Outcomes = dict[str, list[Outcome]]

pytestmark = [pytest.mark.sockets, pytest.mark.slow, pytest.mark.timeout(150)]
with_both_peers = pytest.mark.skipif(
    len(INSTALLED) < len(PEERS),
    reason=f"not installed: {', '.join(sorted(set(PEERS) - set(INSTALLED)))}",
)


def generated() -> dict[str, bytes]:
    chance = seeded(SEED)
    messages = Messages(chance)
    return {f"seed {SEED}, {n}": mutated(chance, messages.request()) for n in range(GENERATED)}


CASES = {name: octets + LAST for name, octets in {**ODDITIES, **generated()}.items()}
NAMES = list(CASES)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    folders = {name: tmp_path_factory.mktemp(name) for name in (SIDECAR, *INSTALLED)}

    async def ask(name: str) -> list[Outcome]:
        async with running(name, folders[name]) as peer:
            return await peer.ask(list(CASES.values()))

    async def ask_all() -> Outcomes:
        finds = Finds()
        finds.watch_loop()
        answers = await asyncio.gather(*map(ask, folders))
        finds.check()
        return dict(zip(folders, answers, strict=True))

    return uvloop.run(ask_all())


def test_what_the_sidecar_forwards_are_strict_requests_that_were_sent(outcomes: Outcomes) -> None:
    named = zip(NAMES, outcomes[SIDECAR], strict=True)

    assert {name: odd for name, outcome in named if (odd := odd_of(name, outcome))} == {}


@with_both_peers
def test_what_both_peers_refuse_is_refused(outcomes: Outcomes) -> None:
    laxer = {name for name, more in compared(outcomes).items() if more > 0}

    assert told(laxer - set(LAXER), outcomes) == {}
    assert laxer >= set(LAXER)


@with_both_peers
@pytest.mark.parametrize("row", STRICTER.values(), ids=STRICTER.keys())
def test_oddities_that_the_sidecar_alone_refuses_are_these(
    outcomes: Outcomes, row: Stricter
) -> None:
    stricter = {name for name, more in compared(outcomes).items() if more < 0}
    oddities = (stricter & set(ODDITIES)) - UNSTEADY

    assert {name for name in oddities if row in rows_of(name, outcomes)} == row.names


@with_both_peers
def test_whatever_the_sidecar_alone_refuses_it_refuses_for_a_known_reason(
    outcomes: Outcomes,
) -> None:
    stricter = {name for name, more in compared(outcomes).items() if more < 0}
    unknown = {name for name in stricter if not rows_of(name, outcomes) and not is_for_us(name)}

    assert told(unknown, outcomes) == {}


def odd_of(name: str, outcome: Outcome) -> list[str]:
    """What should not have been forwarded, in words."""
    story = Story(b"", CASES[name])
    try:
        for request, octets in outcome.forwarded:
            story.forwarded(request, octets)
    except Odd as odd:
        return [*outcome.odd, str(odd)]
    return outcome.odd


def compared(outcomes: Outcomes) -> dict[str, int]:
    """How much more (or less) the sidecar forwards than the nearest of its peers."""
    ours, *theirs = ([each.reached for each in outcomes[name]] for name in (SIDECAR, *PEERS))
    return {
        name: max(0, mine - max(others)) + min(0, mine - min(others))
        for name, mine, *others in zip(NAMES, ours, *theirs, strict=True)
    }


def rows_of(name: str, outcomes: Outcomes) -> list[Stricter]:
    """The reasons that the sidecar gave."""
    details = outcomes[SIDECAR][NAMES.index(name)].details
    return [row for row in STRICTER.values() if any(map(row.says.search, details))]


def is_for_us(name: str) -> bool:
    """Is a request among them that the sidecar answers in its own name?"""
    return not all(map(route, Story(b"", CASES[name]).requests))


def told(names: set[str], outcomes: Outcomes) -> dict[str, str]:
    """Differences, to be looked into."""
    return {name: f"{CASES[name][:1000]!r}: {_by_peer(name, outcomes)}" for name in names}


def _by_peer(name: str, outcomes: Outcomes) -> dict[str, str]:
    return {peer: str(each[NAMES.index(name)]) for peer, each in outcomes.items()}
