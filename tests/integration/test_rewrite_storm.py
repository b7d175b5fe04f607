"""A registry rewritten a hundred times a second under load: no call to an unchanged tool fails."""

import os
import threading
import time
from collections import Counter

import pytest

from tests.support.messages import post
from tests.support.sidecar import Sidecar, registry, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

STORM_S = 10.0 if os.environ.get("TOOLPROXY_LONG") else 3.0
REWRITES_PER_S = 100
CALLERS = 4


@pytest.mark.slow
def test_no_call_fails_while_the_registry_is_rewritten(
    start_origin: StartOrigin, start_sidecar: StartSidecar
) -> None:
    origin = start_origin()
    sidecar = start_sidecar(server("o", origin.url))
    over = threading.Event()
    came: Counter[str] = Counter()
    load = [
        threading.Thread(target=_call_until, args=(sidecar, over, came)) for _ in range(CALLERS)
    ]
    for caller in load:
        caller.start()

    rewrites = _rewrite(sidecar, origin.url)
    over.set()
    for caller in load:
        caller.join()

    print(f"{rewrites} rewrites, {came}")  # noqa: T201
    assert (set(came), came["200"] > 100) == ({"200"}, True)
    assert eventually(lambda: sidecar.ask(post("/tools/o.last")).status == 200)


def _rewrite(sidecar: Sidecar, url: str) -> int:
    """Rename over the file, with a tool that changes each time; pace, not synchronisation."""
    beside = sidecar.registry_path.with_suffix(".new")
    started_at = time.monotonic()
    count = 0
    while (spent := time.monotonic() - started_at) < STORM_S:
        beside.write_text(registry(server("o", url, tools=["call", f"changing{count}"])))
        beside.replace(sidecar.registry_path)
        count += 1
        time.sleep(max(0.0, count / REWRITES_PER_S - spent))
    beside.write_text(registry(server("o", url, tools=["call", "last"])))
    beside.replace(sidecar.registry_path)
    return count


def _call_until(sidecar: Sidecar, over: threading.Event, came: Counter[str]) -> None:
    try:
        with sidecar.caller() as caller:
            while not over.is_set():
                caller.send(post("/tools/o.call"))
                came[str(caller.answer().status)] += 1
    except (AssertionError, OSError) as error:
        came[repr(error)] += 1
