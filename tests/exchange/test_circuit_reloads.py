"""A circuit over reloads: it stays while its server is the same, and obeys what is new."""

from tests.support.failures import FAILS, TRIPPED, tripped
from tests.support.messages import get
from tests.support.replicas import FIRST, ONE, SECOND, asked, asking, call, reloads
from tests.support.transcript import Begin


def test_open_circuit_survives_a_reload_that_keeps_one_address(begin: Begin) -> None:
    t = tripped(begin(ONE))

    reloads(t, f"endpoints: [http://{SECOND}, http://{FIRST}]\nbalance: round_robin")

    assert call(t, {}) == ("", 503)


def test_failures_in_a_row_survive_a_reload_and_meet_the_new_threshold(begin: Begin) -> None:
    t = begin(f"{ONE}\ncircuit: {{failures: 9}}")
    call(t, FAILS)

    reloads(t, f"{ONE}\ncircuit: {{failures: 2}}")
    call(t, FAILS)

    assert t.witness.told == TRIPPED


def test_open_circuit_obeys_a_new_back_off_at_once(begin: Begin) -> None:
    t = tripped(begin(ONE))
    t.passes(1)
    before = call(t, {})

    reloads(t, f"{ONE}\ncircuit: {{open_for: 1s, successes: 1}}")

    assert (before, call(t, {})) == (("", 503), (FIRST, 200))
    assert t.witness.told == [*TRIPPED, "circuit open -> half_open", "circuit half_open -> closed"]


def test_circuit_starts_anew_when_all_addresses_are_others(begin: Begin) -> None:
    t = tripped(begin(ONE))

    reloads(t, f"endpoints: [http://{SECOND}]")
    kept = [each.host for each in t.upstreams if each.fate == "open"]

    assert (kept, call(t, {}), t.cluster.circuit.total_failures) == ([], (SECOND, 200), 0)


def test_call_of_the_old_table_is_judged_by_its_own_circuit(begin: Begin) -> None:
    t = begin(f"{ONE}\ncircuit: {{failures: 1}}")
    old, caller = t.cluster, asking(t)
    upstream = asked(t)
    assert upstream is not None

    reloads(t, f"endpoints: [http://{SECOND}]\ncircuit: {{failures: 1}}")
    upstream.resets()

    caller.expect_problem(502, "upstream_closed")
    assert (old.circuit.closed, t.cluster.circuit.closed) == (False, True)


def test_another_server_has_a_circuit_of_its_own(begin: Begin) -> None:
    t = begin()
    reloads(
        t, ONE, "- {namespace: p, name: p, endpoints: ['http://10.1.1.1'], passthrough: true}\n"
    )

    tripped(t)

    assert call(t, {}, get("/servers/p/x")) == ("10.1.1.1", 200)
