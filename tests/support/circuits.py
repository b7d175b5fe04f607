"""Circuits in the states that facts about them begin with, and all that a circuit shows."""

from proxy.policy.circuit import Circuit
from proxy.registry.model import CircuitConfig

DEFAULTS = CircuitConfig()


def new(config: CircuitConfig = DEFAULTS, chance: float = 0.0) -> Circuit:
    """A circuit whose chance is always this; nought means no jitter."""
    return Circuit(config, lambda: chance)


def fail(circuit: Circuit, times: int = 1, *, now: float = 0.0) -> None:
    for _ in range(times):
        circuit.fail(circuit.begin(now), now)


def tripped(config: CircuitConfig = DEFAULTS, *, at: float = 0.0, chance: float = 0.0) -> Circuit:
    circuit = new(config, chance)
    fail(circuit, config.failures, now=at)
    return circuit


def on_trial(config: CircuitConfig = DEFAULTS) -> tuple[Circuit, int]:
    """A circuit that tripped at 0, and the ticket of its first trial, at `open_for`."""
    circuit = tripped(config)
    return circuit, circuit.begin(config.open_for_s)


def shown(circuit: Circuit) -> tuple[object, ...]:
    """The nine figures, and what else a call can tell by."""
    return (
        circuit.state,
        circuit.failure_count,
        circuit.success_count,
        circuit.total_calls,
        circuit.total_failures,
        circuit.total_successes,
        circuit.failure_rate,
        circuit.state_changes,
        circuit.last_failure_at,
        circuit.generation,
        circuit.closed,
    )
