"""Odd answers through a real sidecar: its callers get their own, an error, or a broken-off one."""

from pathlib import Path

import pytest
import uvloop

from tests.support.fuzz_answers import AnswerCallers
from tests.support.fuzz_run import fuzzed_sidecar

CALLS = 5_000
# A half answer on a connection that stays open must not hold a caller for long.
# A busy machine may take seconds to accept: that is no refusal of a plain answer.
PATIENCE = {"timeout": "4s", "idle_timeout": "4s", "connect_timeout": "4s"}

pytestmark = [pytest.mark.sockets, pytest.mark.slow]


@pytest.mark.timeout(200)
@pytest.mark.parametrize("seed", [1, 2])
def test_callers_are_never_given_what_was_not_said_to_them(tmp_path: Path, seed: int) -> None:
    callers = AnswerCallers(seed)

    async def run() -> None:
        await callers.start()
        try:
            async with fuzzed_sidecar(tmp_path, callers.port, **PATIENCE) as sidecar:
                await callers.call(sidecar.port, CALLS)
        finally:
            callers.stop()

    uvloop.run(run())

    print(callers.calls, dict(callers.statuses))  # noqa: T201 - what was done in so many calls
    callers.finds.check()
