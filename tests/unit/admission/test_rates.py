"""Limits of a call: all or none are counted, and the caller is told of the tightest."""

import pytest

from proxy.admission.rates import Limit, Rates, Verdict
from proxy.config.units import Rate
from proxy.errors import RateLimitedError

NOW = 1e6
TEN_PER_SECOND = Rate(10.0, 1)
CALLER = Limit("caller:ci", "caller", TEN_PER_SECOND)
SERVER = Limit("server:manifest", "server", Rate(3.0, 1))
MANY = Limit("caller:many", "caller", Rate(1_000.0, 1))
TOOL = Limit("tool:manifest.read", "tool", Rate(1.0, 60))


def limit(name: str, rate: Rate = TEN_PER_SECOND) -> Limit:
    return Limit(name, name.partition(":")[0], rate)


def admitted(rates: Rates, *limits: Limit, now: float = NOW) -> int:
    """How many come through of those who come in one moment."""
    count = 0
    try:
        while True:
            rates.take(limits, now)
            count += 1
    except RateLimitedError:
        return count


def refused(rates: Rates, *limits: Limit, now: float = NOW) -> RateLimitedError:
    with pytest.raises(RateLimitedError) as refusal:
        rates.take(limits, now)
    return refusal.value


def test_without_limits_nothing_is_counted_or_said() -> None:
    rates = Rates()

    assert (rates.take((), NOW), len(rates)) == (b"", 0)


def test_as_many_come_as_the_limit_allows() -> None:
    rates = Rates()

    assert [admitted(rates, CALLER, now=NOW + at_s) for at_s in (0, 0.5, 2)] == [10, 5, 10]


def test_each_name_has_a_bucket_of_its_own() -> None:
    rates = Rates()

    assert [admitted(rates, limit(f"caller:{name}")) for name in "abca"] == [10, 10, 10, 0]


def test_the_tightest_of_several_limits_decides() -> None:
    rates = Rates()

    assert admitted(rates, CALLER, SERVER) == 3


def test_a_call_that_one_limit_refuses_counts_against_none() -> None:
    rates = Rates()
    admitted(rates, CALLER, TOOL, SERVER)
    for _ in range(20):
        refused(rates, CALLER, TOOL, SERVER)

    assert (admitted(rates, CALLER, SERVER), admitted(rates, CALLER)) == (2, 7)


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        pytest.param(Rate(100.0, 1), ("q=100;w=1", "r=99;t=1"), id="per-second"),
        pytest.param(Rate(90.0, 60), ("q=90;w=60", "r=89;t=1"), id="per-minute"),
        pytest.param(Rate(100.0, 3600), ("q=100;w=3600", "r=99;t=36"), id="per-hour"),
        pytest.param(Rate(2.5, 1), ("q=2;w=1", "r=1;t=1"), id="and-a-half"),
        pytest.param(Rate(0.5, 60), ("q=1;w=120", "r=0;t=120"), id="less-than-one"),
        pytest.param(Rate(5e-324, 60), ("q=1;w=1000000000", "r=0;t=1000000000"), id="next-to-none"),
        pytest.param(Rate(1e308, 1), (f"q={'9' * 15};w=1", f"r={'9' * 15};t=1"), id="no-limit"),
    ],
)
def test_an_answer_tells_the_limit_and_what_is_left(rate: Rate, told: tuple[str, str]) -> None:
    lines = Rates().take((limit("server:ns", rate),), NOW)

    expected = 'RateLimit-Policy: "server";{}\r\nRateLimit: "server";{}\r\n'.format(*told)
    assert lines == expected.encode()


def test_an_answer_tells_what_is_left_after_each_call() -> None:
    rates = Rates()

    lines = [rates.take((SERVER,), now) for now in (NOW, NOW, NOW, NOW + 1 / 3)]

    assert [line.rpartition(b'"')[2] for line in lines] == [
        b";r=2;t=1\r\n",
        b";r=1;t=1\r\n",
        b";r=0;t=1\r\n",
        b";r=0;t=1\r\n",
    ]


def test_the_time_that_is_told_shrinks() -> None:
    rates = Rates()
    rates.take((TOOL,), NOW)

    told_s = [
        refused(rates, TOOL, now=NOW + at_s).retry_after_s for at_s in (0, 0.5, 1, 58.5, 59.5)
    ]

    assert told_s == [60, 60, 59, 2, 1]


def test_of_several_limits_the_one_with_the_least_left_is_told() -> None:
    lines = Rates().take((CALLER, SERVER), NOW)

    assert lines == b'RateLimit-Policy: "server";q=3;w=1\r\nRateLimit: "server";r=2;t=1\r\n'


def test_a_refusal_tells_which_limit_how_much_and_when() -> None:
    rates = Rates()
    admitted(rates, CALLER)

    refusal = refused(rates, CALLER)

    assert refusal.detail == "At most 10/s for caller ci: come back in 1 s"
    assert refusal.retry_after_s == 1
    assert refusal.headers == (
        ("RateLimit-Policy", '"caller";q=10;w=1'),
        ("RateLimit", '"caller";r=0;t=1'),
    )


def test_of_several_that_refuse_the_one_that_takes_longest_is_told() -> None:
    rates = Rates()
    admitted(rates, SERVER)
    admitted(rates, TOOL)

    refusal = refused(rates, CALLER, TOOL, SERVER)

    assert refusal.detail == "At most 1/m for tool manifest.read: come back in 60 s"
    assert refusal.headers[1] == ("RateLimit", '"tool";r=0;t=60')


def test_whoever_waits_as_long_as_told_is_let_in() -> None:
    rates = Rates()
    rates.take((TOOL,), NOW)

    assert admitted(rates, TOOL, now=NOW + (refused(rates, TOOL).retry_after_s or 0)) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("caller:", "caller", id="nobody"),
        pytest.param("caller:::1", "caller ::1", id="colons"),
        pytest.param("caller:a\r\nb\ud800", "caller a??b?", id="unprintable"),
        pytest.param(f"caller:{'x' * 9_000}", f"caller {'x' * 121}", id="long"),
    ],
)
def test_a_name_from_elsewhere_makes_a_line_of_bounded_text(name: str, words: str) -> None:
    rates = Rates()
    admitted(rates, limit(name))

    assert refused(rates, limit(name)).detail == f"At most 10/s for {words}: come back in 1 s"


@pytest.mark.parametrize("others", [(), (SERVER,)], ids=["alone", "among-several"])
def test_a_new_rate_holds_from_the_next_call_on_and_keeps_what_was_used(
    others: tuple[Limit, ...],
) -> None:
    rates = Rates()
    rates.take((CALLER, *others), NOW)
    rates.take((CALLER, *others), NOW)

    lines = rates.take((limit("caller:ci", Rate(4.0, 1)), *others), NOW)
    again = rates.take((limit("caller:ci", Rate(50.0, 1)),), NOW)

    if not others:
        assert lines == b'RateLimit-Policy: "caller";q=4;w=1\r\nRateLimit: "caller";r=1;t=1\r\n'
    assert again == b'RateLimit-Policy: "caller";q=50;w=1\r\nRateLimit: "caller";r=46;t=1\r\n'


def test_a_sweep_lets_go_of_what_is_full_again_and_of_nothing_else() -> None:
    rates = Rates()
    for name in "abc":
        rates.take((limit(f"caller:{name}"),), NOW)
    rates.take((limit("caller:b"),), NOW + 0.05)

    rates.sweep(NOW + 0.125)

    assert repr(rates) == "<Rates 1 buckets>"
    assert admitted(rates, limit("caller:b"), now=NOW + 0.15) == 9


def test_sweeps_look_at_a_few_at_a_time_and_in_the_end_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.admission.rates._SLICE", 2)
    rates = Rates()
    for number in range(6):
        rates.take((limit(f"caller:{number}", TEN_PER_SECOND if number > 1 else TOOL.rate),), NOW)

    left = []
    for _ in range(4):
        rates.sweep(NOW + 1)
        left.append(len(rates))

    assert left == [6, 4, 2, 2]


def test_beyond_the_bound_the_full_ones_go_first() -> None:
    rates = Rates(most=10)
    for number in range(10):
        rates.take((limit(f"caller:{number}"),), NOW + number)

    rates.take((limit("caller:new"),), NOW + 9)

    assert len(rates) == 2
    assert admitted(rates, limit("caller:9"), now=NOW + 9) == 9


def test_beyond_the_bound_those_nearest_to_full_go_when_none_is() -> None:
    rates = Rates(most=10)
    for number in range(10):
        for _ in range(10 - number):
            rates.take((limit(f"caller:{number}"),), NOW)

    rates.take((limit("caller:new"),), NOW)

    assert len(rates) == 10
    left = [admitted(rates, limit(f"caller:{number}")) for number in range(9)]
    assert left == list(range(9))


def test_however_many_come_the_bound_holds() -> None:
    rates = Rates(most=9)

    for number in range(500):
        rates.take((MANY, limit(f"server:{number}"), limit(f"tool:{number}")), NOW + number / 1e4)

        assert len(rates) <= 9


def test_a_call_that_makes_room_is_counted_against_all_of_its_limits() -> None:
    rates = Rates(most=4)
    for number in range(4):
        rates.take((limit(f"caller:{number}"),), NOW)

    rates.take((limit("caller:x"), limit("server:x")), NOW)

    assert [admitted(rates, limit("caller:x")), admitted(rates, limit("server:x"))] == [9, 9]


def test_what_was_decided_elsewhere_is_told_as_if_it_was_here() -> None:
    rates = Rates()

    lines = rates.settle((CALLER, SERVER), Verdict(admitted=True, used=(4.5, 1.0)), NOW)

    assert lines == b'RateLimit-Policy: "server";q=3;w=1\r\nRateLimit: "server";r=2;t=1\r\n'
    assert (admitted(rates, CALLER), admitted(rates, SERVER)) == (5, 2)


def test_what_was_refused_elsewhere_is_refused() -> None:
    rates = Rates()

    with pytest.raises(RateLimitedError, match="At most 1/m for tool") as refusal:
        rates.settle((CALLER, TOOL), Verdict(admitted=False, used=(0.0, 0.5)), NOW)

    assert refusal.value.retry_after_s == 30


def test_nobody_is_told_to_come_back_at_once() -> None:
    fast = limit("caller:fast", Rate(1e7, 1))

    with pytest.raises(RateLimitedError) as refusal:
        Rates().settle((fast,), Verdict(admitted=False, used=(1e7,)), NOW)

    assert (refusal.value.retry_after_s, refusal.value.headers[1][1]) == (1, '"caller";r=0;t=1')


def test_what_is_decided_for_somebody_else_counts_here_and_settles_there() -> None:
    here, there = Rates(), Rates()
    limits = (CALLER, SERVER)

    verdicts = [here.decide(limits, NOW) for _ in range(3)]
    lines = [there.settle(limits, verdict, NOW) for verdict in verdicts]

    alone = Rates()
    assert lines == [alone.take(limits, NOW) for _ in range(3)]


def test_what_is_not_admitted_counts_against_no_limit() -> None:
    rates = Rates()
    while (last := rates.decide((CALLER, SERVER), NOW)).admitted:
        pass

    assert rates.decide((CALLER, SERVER), NOW) == last
