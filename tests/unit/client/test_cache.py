"""Answers are kept for a while, within bounds."""

from proxy.client.cache import FRESH_FOR_S, ResponseCache


def test_what_is_kept_is_good_for_five_minutes() -> None:
    cache = ResponseCache()
    cache.keep(b"a", b"body", '"1"', 1000.0)
    entry = cache.look(b"a")

    assert entry
    assert (entry.body, entry.etag, entry.fresh_until) == (b"body", '"1"', 1000 + FRESH_FOR_S)
    assert FRESH_FOR_S == 300


def test_what_still_holds_is_good_for_as_long_again() -> None:
    cache = ResponseCache()
    cache.keep(b"a", b"body", '"1"', 1000.0)
    entry = cache.look(b"a")
    assert entry
    cache.renew(b"a", entry, 2000.0)
    renewed = cache.look(b"a")

    assert renewed
    assert (renewed.body, renewed.fresh_until) == (b"body", 2300.0)


def test_least_recently_used_goes_first() -> None:
    cache = ResponseCache(most_entries=2)
    for key in (b"a", b"b"):
        cache.keep(key, b"x", None, 0.0)
    cache.look(b"a")
    cache.keep(b"c", b"x", None, 0.0)

    assert [bool(cache.look(key)) for key in (b"a", b"b", b"c")] == [True, False, True]


def test_bytes_are_bounded() -> None:
    cache = ResponseCache(most_bytes=10)
    for number in range(20):
        cache.keep(b"%d" % number, b"12345", None, 0.0)

    assert repr(cache) == "<ResponseCache 2 entries, 10 bytes>"


def test_what_would_fill_it_alone_is_not_kept() -> None:
    cache = ResponseCache(most_bytes=10)
    cache.keep(b"a", b"1", None, 0.0)
    cache.keep(b"b", b"x" * 11, None, 0.0)

    assert repr(cache) == "<ResponseCache 1 entries, 1 bytes>"


def test_kept_anew_counts_once() -> None:
    cache = ResponseCache()
    for _ in range(3):
        cache.keep(b"a", b"12345", None, 0.0)

    assert repr(cache) == "<ResponseCache 1 entries, 5 bytes>"


def test_rate_of_nothing_is_nothing() -> None:
    assert ResponseCache().hit_rate == 0
