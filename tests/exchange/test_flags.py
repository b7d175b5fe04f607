"""Response flags: the record of a call says in one word why it went wrong."""

from collections.abc import Callable
from typing import Final

import pytest

from proxy.policy.health import Verdict
from tests.support.failures import FAILURES, GOOD, PROOF_OF_NOTHING, QUICK
from tests.support.messages import post
from tests.support.replicas import FIRST, ONE, TWO, asking, call, probed, reloads
from tests.support.transcript import Begin, Transcript

Plays = Callable[[Transcript], object]


def _has_no_endpoint(t: Transcript) -> None:
    probed(t, FIRST, Verdict.UNREACHABLE)
    asking(t)


def _meets_an_open_circuit(t: Transcript) -> None:
    reloads(t, f"{ONE}\ncircuit: {{failures: 1}}")
    call(t, {FIRST: 503})
    asking(t)


def _meets_a_full_queue(t: Transcript) -> None:
    reloads(t, f"{ONE}\nlimits: {{max_connections: 1, max_pending: 0}}")
    asking(t)
    asking(t)


def _is_tried_too_often(t: Transcript) -> None:
    reloads(t, TWO)
    FAILURES["refused"](t)


def _names_no_tool(t: Transcript) -> None:
    asking(t, post("/tools/o.nothing"))


def _names_no_server(t: Transcript) -> None:
    asking(t, post("/tools/nobody.call"))


CALLS: Final[dict[str, tuple[Plays, str, int, str]]] = {
    "answered": (GOOD["200"], "", 200, ""),
    "answered-with-503": (FAILURES["503"], "", 503, ""),
    "no-endpoint": (_has_no_endpoint, "UH", 503, "no_healthy_endpoint"),
    "open-circuit": (_meets_an_open_circuit, "UO", 503, "circuit_open"),
    "full-queue": (_meets_a_full_queue, "UO", 429, "queue_full"),
    "refused": (FAILURES["refused"], "UF", 502, "connect_failed"),
    "no-connection-in-time": (FAILURES["no-connection-in-time"], "UF", 504, "connect_timeout"),
    "no-answer-in-time": (FAILURES["no-answer-in-time"], "UT", 504, "upstream_timeout"),
    "silent-half-way": (FAILURES["silent-half-way"], "UT", 200, "upstream_timeout"),
    "reset": (FAILURES["reset"], "UC", 502, "upstream_closed"),
    "reset-half-way": (FAILURES["reset-half-way"], "UC", 200, "upstream_closed"),
    "no-http": (FAILURES["no-http"], "UPE", 502, "upstream_protocol"),
    "tried-too-often": (_is_tried_too_often, "URX", 502, "connect_failed"),
    "caller-leaves": (PROOF_OF_NOTHING["caller-leaves"], "DC", 0, ""),
    "caller-leaves-half-way": (PROOF_OF_NOTHING["caller-leaves-half-way"], "DC", 200, ""),
    "no-such-tool": (_names_no_tool, "NR", 404, "tool_not_found"),
    "no-such-server": (_names_no_server, "NR", 404, "namespace_not_found"),
}


@pytest.mark.parametrize(("play", "flag", "status", "code"), CALLS.values(), ids=CALLS)
def test_record_says_why_a_call_went_wrong(
    begin: Begin, play: Plays, flag: str, status: int, code: str
) -> None:
    t = begin(ONE + QUICK)

    play(t)

    record = t.records[-1]
    assert (record.flag, record.status, record.code) == (flag, status, code)
