"""A rollback under load fails no call to what stays, and lets what goes come to its end."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.support.loop_thread import LoopThread
from tests.support.messages import ok, post
from tests.support.publisher import Publisher, runs, url_for_orders
from tests.support.scripts import answers, holds
from tests.support.sidecar import Sidecar, registry, run_command, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually


def test_a_rollback_fails_no_call_and_what_is_removed_drains(
    tmp_path: Path,
    start_sidecar: StartSidecar,
    start_origin: StartOrigin,
    loop_thread: LoopThread,
) -> None:
    gate = loop_thread.gate()
    quick, slow = start_origin(answers(ok())), start_origin(holds(gate, answers(ok())))
    publisher = Publisher(tmp_path / "publisher")
    old = server("o", quick.url)
    first = publisher.publishes(tmp_path / "registry.yaml", registry(old))
    own = {"trusted_keys": str(publisher.trusted), "require_signature": True}
    sidecar = start_sidecar(old, settings={"admin": "127.0.0.1:0", "registry": own})
    both = registry(old, server("later", slow.url))
    assert runs(sidecar, publisher.publishes(sidecar.registry_path, both)["identity"])

    with sidecar.caller() as removed, under_load(sidecar) as statuses:
        removed.send(post("/tools/later.call"))
        assert eventually(lambda: len(slow.calls) == 1)
        done = run_command(
            "registry", "rollback", first["identity"], "--url", url_for_orders(sidecar)
        )
        gone = sidecar.ask(post("/tools/later.call")).status
        gate.open()
        in_flight = removed.answer().status

    assert (done.returncode, done.stderr) == (0, "")
    assert (set(statuses), gone, in_flight) == ({200}, 404, 200)


@contextlib.contextmanager
def under_load(sidecar: Sidecar) -> Iterator[list[int]]:
    """Four callers of what is always there, one call after the other; the statuses."""
    statuses: list[int] = []
    over = threading.Event()

    def call_on() -> None:
        with sidecar.caller() as caller:
            while not over.is_set():
                caller.send(post("/tools/o.call"))
                statuses.append(caller.answer().status)

    callers = [threading.Thread(target=call_on) for _ in range(4)]
    for each in callers:
        each.start()
    try:
        assert eventually(lambda: len(statuses) > 100)
        yield statuses
        enough = len(statuses) + 100
        assert eventually(lambda: len(statuses) > enough)
    finally:
        over.set()
        for each in callers:
            each.join()
