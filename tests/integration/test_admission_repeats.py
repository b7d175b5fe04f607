"""Does a remembered answer reach somebody else? Only who made the call gets it again, and may."""

import signal
from typing import Final

import pytest

from tests.support.admission_scene import AS_CI, AS_NOBODY, AS_OPS, CI, OPS, guarded, named
from tests.support.admission_tokens import token, trusting
from tests.support.messages import post
from tests.support.origin import Origin
from tests.support.sidecar import Sidecar, server
from tests.support.starters import StartOrigin, StartSidecar
from tests.support.waiting import eventually

CALL: Final = "/tools/o.call"
AGAIN: Final = b"Idempotency-Key: of-the-caller"


@pytest.fixture
def origin(start_origin: StartOrigin) -> Origin:
    return start_origin()


def ask(sidecar: Sidecar, *fields: bytes) -> tuple[int, str | None]:
    answer = sidecar.ask(post(CALL, AGAIN, *fields))
    return answer.status, answer.value("idempotency-replayed")


def test_answer_is_given_again_to_its_caller_alone(
    origin: Origin, start_sidecar: StartSidecar, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = guarded(named("ci", CI, allow=["o.*"]), named("ops", OPS, admin=True))
    auth = settings["auth"]
    assert isinstance(auth, dict)
    auth["jwt"] = trusting(tmp_path_factory.mktemp("jwt"))
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    as_ci_by_name = b"Authorization: Bearer " + token("ci").encode()

    first = [ask(sidecar, key) for key in (AS_CI, AS_OPS, as_ci_by_name)]
    strangers = [ask(sidecar, *key) for key in ([], [AS_NOBODY])]
    again = ask(sidecar, AS_CI)

    assert first == [(200, None)] * 3
    assert strangers == [(401, None)] * 2
    assert again == (200, "true")
    assert len(origin.calls) == 3


def test_answer_is_not_given_again_to_who_may_no_more(
    origin: Origin, start_sidecar: StartSidecar
) -> None:
    settings = guarded(named("ci", CI, allow=["o.*"]))
    sidecar = start_sidecar(server("o", origin.url), settings=settings)
    assert ask(sidecar, AS_CI) == (200, None)

    sidecar.write_settings(guarded(named("ci", CI, allow=["p.*"])))
    sidecar.signal(signal.SIGHUP)

    assert eventually(lambda: ask(sidecar, AS_CI) == (403, None))


def test_key_of_a_call_is_no_way_past_a_rate(origin: Origin, start_sidecar: StartSidecar) -> None:
    sidecar = start_sidecar(server("o", origin.url), settings=guarded(named("ci", CI, rate="2/h")))

    told = [
        sidecar.ask(post(CALL, AS_CI, b"Idempotency-Key: k%d" % number)).status
        for number in range(3)
    ]

    assert told == [200, 200, 429]
