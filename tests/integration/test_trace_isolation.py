"""Two hundred calls at once, each with its own ids: none crosses, in headers, answers or errors."""

from dataclasses import dataclass

from tests.support.caller import Answer, Caller
from tests.support.loop_thread import LoopThread
from tests.support.messages import post
from tests.support.problems import problem_of
from tests.support.scripts import echo, holds
from tests.support.sidecar import server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALLS = 200


@dataclass(frozen=True)
class Ids:
    """What one caller calls its call."""

    trace: str
    request: str
    chora: str

    @classmethod
    def of(cls, number: int) -> "Ids":
        return cls(f"{number + 1:032x}", f"request-{number}", f"workflow-{number}")

    def fields(self) -> list[bytes]:
        named = {
            "traceparent": f"00-{self.trace}-00f067aa0ba902b7-01",
            "X-Request-Id": self.request,
            "X-Chora-Trace-Id": self.chora,
        }
        return [f"{name}: {value}".encode() for name, value in named.items()]


def test_no_id_crosses_between_answers(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url, limits={"max_connections": CALLS}))
    all_ids = [Ids.of(number) for number in range(CALLS)]
    callers = [sidecar.caller() for _ in all_ids]
    for caller, ids in zip(callers, all_ids, strict=True):
        caller.send(post("/tools/o.call", *ids.fields()))
    assert eventually(lambda: len(origin.calls) == CALLS)
    gate.open()

    came = [_left_with(caller) for caller in callers]

    assert [(_ids_of(answer), _seen_by_upstream(answer)) for answer in came] == [
        ((ids.request, ids.chora), ids) for ids in all_ids
    ]


def test_no_id_crosses_between_errors(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    origin = start_origin(holds(loop_thread.gate()))
    limits = {"max_connections": CALLS // 2, "max_pending": CALLS // 4, "queue_timeout": "300ms"}
    sidecar = start_sidecar(server("o", origin.url, timeout="1s", limits=limits))
    all_ids = [Ids.of(number) for number in range(CALLS)]
    callers = [sidecar.caller() for _ in all_ids]
    for number, (caller, ids) in enumerate(zip(callers, all_ids, strict=True)):
        path = "/tools/o.unknown" if number % 10 == 0 else "/tools/o.call"
        caller.send(post(path, *ids.fields()))

    came = [_left_with(caller) for caller in callers]

    problems = [problem_of(answer) for answer in came]
    assert [(problem["request_id"], problem["trace_id"]) for problem in problems] == [
        (ids.request, ids.chora) for ids in all_ids
    ]
    assert {answer.status for answer in came} == {404, 429, 504}


def test_calls_without_ids_get_ids_of_their_own(
    start_origin: StartOrigin, start_sidecar: StartSidecar, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate, echo))
    sidecar = start_sidecar(server("o", origin.url, limits={"max_connections": CALLS}))
    callers = [sidecar.caller() for _ in range(CALLS)]
    for caller in callers:
        caller.send(post("/tools/o.call"))
    assert eventually(lambda: len(origin.calls) == CALLS)
    gate.open()

    seen = [_seen_by_upstream(_left_with(caller)) for caller in callers]

    assert len({ids.trace for ids in seen}) == len({ids.request for ids in seen}) == CALLS
    assert all(ids.chora == ids.trace for ids in seen)


def _left_with(caller: Caller) -> Answer:
    with caller:
        return caller.answer()


def _ids_of(answer: Answer) -> tuple[str | None, str | None]:
    return answer.value("x-request-id"), answer.value("x-chora-trace-id")


def _seen_by_upstream(answer: Answer) -> Ids:
    pairs = answer.json()["headers"]
    assert isinstance(pairs, list)
    seen = {name.lower(): value for name, value in pairs}
    trace = seen["traceparent"].split("-")[1]
    return Ids(trace, seen["x-request-id"], seen["x-chora-trace-id"])
