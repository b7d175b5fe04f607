"""Errors say one sentence, carry facts, and can be caught by their built-in names."""

import builtins
import copy
import pickle

import pytest

from proxy.client import errors
from proxy.client.errors import Facts, GatewayError

FACTS = Facts(status=503, code="circuit_open", trace_id="t", retry_after_s=2, retryable=True)


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (errors.TimeoutError, builtins.TimeoutError),
        (errors.PermissionError, builtins.PermissionError),
        (errors.ConnectError, builtins.ConnectionError),
        (errors.ConnectionLostError, builtins.ConnectionError),
    ],
)
def test_built_in_name_catches_it(kind: type[GatewayError], builtin: type[Exception]) -> None:
    error = kind("it took too long", FACTS)

    assert isinstance(error, builtin)
    assert isinstance(error, GatewayError)
    assert (str(error), error.status, error.trace_id) == ("it took too long", 503, "t")


def test_facts_are_attributes() -> None:
    error = GatewayError("no", FACTS)

    assert (error.detail, error.status, error.code, error.trace_id) == (
        "no",
        503,
        "circuit_open",
        "t",
    )
    assert (error.retry_after_s, error.retryable, error.body) == (2, True, None)


def test_last_error_speaks_for_all_attempts() -> None:
    error = errors.RetryExhaustedError(errors.ConnectError("nobody there", FACTS), 3)

    assert str(error) == "Tried 3 times; at last: nobody there"
    assert (error.status, error.attempts, error.outage) == (503, 3, True)


def test_single_attempt_reads_well() -> None:
    assert str(errors.RetryExhaustedError(GatewayError("no"), 1)) == "no"


@pytest.mark.parametrize(
    ("error", "outage"),
    [
        (errors.ConnectError("x"), True),
        (errors.ConnectionLostError("x"), True),
        (errors.TimeoutError("x"), True),
        (GatewayError("x", Facts(status=500)), True),
        (GatewayError("x", Facts(status=499)), False),
        (errors.ClientClosedError("x"), False),
    ],
)
def test_outages_are_told_from_refusals(error: GatewayError, *, outage: bool) -> None:
    assert error.outage is outage


@pytest.mark.parametrize("remade", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])  # noqa: S301 - our own octets
def test_error_survives_being_copied(remade: object) -> None:
    assert callable(remade)
    error = remade(errors.TimeoutError("late", FACTS))

    assert (str(error), error.status) == ("late", 503)
