"""What may be repeated: nothing that may have been done, without leave."""

import pytest

from proxy.client import errors
from proxy.client.breaker import CircuitBreakerConfig
from proxy.client.errors import Facts, GatewayError
from proxy.client.retry import Leave, RetryConfig, configured, may_repeat, wait_s

NOT_SENT = errors.ConnectError("x")
LOST = errors.ConnectionLostError("x")
HALF = errors.AnswerLostError("x")
LATE = errors.TimeoutError("x")


def answered(status: int, *, retryable: bool = False, after_s: float | None = None) -> GatewayError:
    return GatewayError("x", Facts(status=status, retryable=retryable, retry_after_s=after_s))


@pytest.mark.parametrize(
    ("error", "read", "keyed", "nothing"),
    [
        pytest.param(NOT_SENT, True, True, True, id="not-sent"),
        pytest.param(LOST, True, True, False, id="no-answer"),
        pytest.param(HALF, True, False, False, id="half-an-answer"),
        pytest.param(LATE, False, False, False, id="its-time-is-over"),
        pytest.param(answered(500), True, False, False, id="the-tools-own-500"),
        pytest.param(answered(503), True, False, False, id="the-tools-own-503"),
        pytest.param(answered(503, after_s=1), True, False, False, id="503-that-does-not-invite"),
        pytest.param(answered(503, retryable=True), True, False, False, id="invites-without-time"),
        pytest.param(answered(503, retryable=True, after_s=1), True, True, True, id="invites"),
        pytest.param(answered(429, retryable=True, after_s=1), True, True, True, id="queue-full"),
        pytest.param(answered(502, retryable=True), True, True, True, id="it-could-not-connect"),
        pytest.param(answered(502), True, False, False, id="upstream-closed"),
        pytest.param(answered(429), True, False, False, id="the-tools-own-429"),
        pytest.param(answered(400), False, False, False, id="400"),
        pytest.param(answered(404), False, False, False, id="404"),
        pytest.param(GatewayError("x"), False, False, False, id="no-answer-at-all"),
    ],
)
def test_what_may_be_repeated(
    error: GatewayError, *, read: bool, keyed: bool, nothing: bool
) -> None:
    assert (
        may_repeat(error, Leave.READ),
        may_repeat(error, Leave.KEYED),
        may_repeat(error, Leave.NOTHING),
    ) == (read, keyed, nothing)


def test_delays_double_up_to_the_most() -> None:
    config = RetryConfig(initial_delay=1, max_delay=5, jitter=False)

    assert [config.delay_s(n, float) for n in (1, 2, 3, 4, 5000)] == [1, 2, 4, 5, 5]


@pytest.mark.parametrize(("chance", "delay_s"), [(0.0, 4.0), (0.5, 3.0), (1.0, 2.0)])
def test_jitter_takes_up_to_half_off(chance: float, delay_s: float) -> None:
    assert RetryConfig().delay_s(3, lambda: chance) == delay_s


def test_gateways_word_on_time_goes_before_ours() -> None:
    config = RetryConfig(jitter=False)

    assert wait_s(answered(503, after_s=7), 1, config, float) == 7


def test_circuits_retry_after_does_not_shorten_our_back_off() -> None:
    config = RetryConfig(jitter=False)

    assert wait_s(answered(503, after_s=0), 2, config, float) == 2


@pytest.mark.parametrize(
    "keys",
    [{"max_attempts": 0}, {"initial_delay": -1}, {"initial_delay": 31}, {"exponential_base": 0.5}],
)
def test_patience_that_makes_no_sense_is_refused(keys: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(keys))):
        configured(RetryConfig, keys)


def test_options_come_as_the_guide_writes_them() -> None:
    assert configured(RetryConfig, {"max_attempts": 5}) == RetryConfig(max_attempts=5)


def test_options_that_are_built_are_taken_as_they_are() -> None:
    config = CircuitBreakerConfig(failure_threshold=1)

    assert configured(CircuitBreakerConfig, config) is config


def test_unknown_option_is_named_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError, match="attempts is no option of RetryConfig; it has max_attempts"
    ):
        configured(RetryConfig, {"attempts": 5})
