"""May this failure be repeated, and when?

Decides only; waits for nothing and sends nothing. Chance is an argument.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final, TypeVar

from proxy.client.errors import GatewayError

_REPEATABLE_READS: Final = frozenset({408, 429})
_FIRST_SERVER_ERROR: Final = 500
_MOST_DOUBLINGS: Final = 64

ConfigT = TypeVar("ConfigT")


class Leave(Enum):
    """What a caller allows to be sent again."""

    READ = "a read changes nothing: after any failure that may pass"
    KEYED = "the gateway makes it once by its Idempotency-Key: when no answer came"
    NOTHING = "only what was not sent, or what the gateway invites to send again"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """How often and how patiently a call is tried; delays in seconds, before jitter."""

    max_attempts: int = 3
    initial_delay: float = 1.0
    max_delay: float = 30.0
    exponential_base: float = 2.0
    jitter: bool = True

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("max_attempts must be at least 1")
        if not 0 <= self.initial_delay <= self.max_delay:
            raise ValueError("initial_delay and max_delay: 0 <= initial_delay <= max_delay")
        if self.exponential_base < 1:
            raise ValueError("exponential_base must be at least 1")

    def delay_s(self, failures: int, chance: Callable[[], float]) -> float:
        """The wait after so many failures in a row; jitter takes up to half of it off."""
        doublings = min(failures - 1, _MOST_DOUBLINGS)
        full_s = min(self.max_delay, self.initial_delay * self.exponential_base**doublings)
        return full_s * (1 - chance() / 2) if self.jitter else full_s


def may_repeat(error: GatewayError, leave: Leave) -> bool:
    """May the call that failed so be sent again?"""
    if error.nothing_sent or error.invites:
        return True
    if leave is Leave.READ:
        status = error.status or 0
        may_pass = status in _REPEATABLE_READS or status >= _FIRST_SERVER_ERROR
        return error.connection_lost or may_pass
    # An answer that broke off may be one that the gateway has not kept either.
    return leave is Leave.KEYED and error.connection_lost and not error.answer_began


def wait_s(
    error: GatewayError, failures: int, config: RetryConfig, chance: Callable[[], float]
) -> float:
    """How long to wait before the next attempt: as the gateway says, else by our back-off."""
    own_s = config.delay_s(failures, chance)
    return own_s if error.retry_after_s is None else max(own_s, error.retry_after_s)


def configured(kind: type[ConfigT], given: ConfigT | Mapping[str, object] | None) -> ConfigT:
    """A configuration from the guide's dictionary; raises `ValueError` for an unknown key."""
    if given is None:
        return kind()
    if not isinstance(given, Mapping):
        return given
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # always a dataclass
    for key in given:
        if key not in known:
            raise ValueError(f"{key} is no option of {kind.__name__}; it has {', '.join(known)}")
    return kind(**given)
