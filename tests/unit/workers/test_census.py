"""Facts about the number of callers, of all workers."""

import os

from proxy.workers.census import Census


def test_each_says_its_own_and_hears_all() -> None:
    census = Census(2)
    one, other = census.of(1), census.of(2)

    assert (one.count(3), other.count(4), one.count(2)) == (3, 7, 6)


def test_who_takes_a_place_begins_with_nobody() -> None:
    census = Census(2)
    census.of(1).count(9)

    assert census.of(1).count(1) == 1


def test_a_fork_shares_it() -> None:
    census = Census(2)
    here = census.of(1)
    pid = os.fork()
    if not pid:
        census.of(2).count(5)
        os._exit(0)
    os.waitpid(pid, 0)

    assert here.count(1) == 6
