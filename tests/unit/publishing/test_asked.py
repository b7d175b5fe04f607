from argparse import Namespace
from typing import Final

import pytest

from proxy.publishing.asked import looked_up, ordered
from proxy.publishing.refusal import RefusedError
from tests.support.loop_thread import LoopThread
from tests.support.messages import ok
from tests.support.origin import Origin
from tests.support.ports import refusing_port
from tests.support.scripts import answers, holds
from tests.support.starters import StartOrigin

KEY: Final = "the-key-of-somebody"
ENVIRON: Final = {"TOOLPROXYCTL_API_KEY": KEY}


def options(url: str, *, timeout_s: float = 20.0) -> Namespace:
    return Namespace(url=url, api_key_file=None, token_file=None, timeout=timeout_s)


def target_of(origin: Origin) -> tuple[bytes, bytes, str | None, bytes]:
    (visit,) = origin.calls
    return visit.method, visit.target, visit.value("x-api-key"), bytes(visit.body)


def test_what_is_looked_up_is_asked_for_in_somebody_s_name(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(ok(b'{"a":1}')))

    found = looked_up(options(origin.url), ENVIRON, "/registry?x=1", "show")

    assert (found, target_of(origin)) == ({"a": 1}, (b"GET", b"/registry?x=1", KEY, b""))


def test_an_order_is_posted(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(ok(b'{"a":1}')))

    found = ordered(options(origin.url), ENVIRON, "/registry/accept", {"generation": "é"})

    body = '{"generation":"é"}'.encode()
    assert (found, target_of(origin)) == ({"a": 1}, (b"POST", b"/registry/accept", KEY, body))


def test_an_answer_that_is_no_object_is_an_empty_one(start_origin: StartOrigin) -> None:
    origin = start_origin(answers(ok(b"[1]")))

    assert looked_up(options(origin.url), {}, "/registry", "show") == {}


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"a":'], ids=["nothing", "a-page", "half"])
def test_an_answer_that_is_no_json_is_one_sentence(start_origin: StartOrigin, body: bytes) -> None:
    origin = start_origin(answers(ok(body)))

    with pytest.raises(RefusedError, match="broken JSON"):
        looked_up(options(origin.url), {}, "/registry", "show")


def test_nobody_there_is_one_sentence() -> None:
    with refusing_port() as port, pytest.raises(RefusedError, match="is the sidecar running"):
        ordered(options(f"http://127.0.0.1:{port}"), {}, "/registry/unpin", {})


def test_who_says_nothing_is_not_waited_for(
    start_origin: StartOrigin, loop_thread: LoopThread
) -> None:
    gate = loop_thread.gate()
    origin = start_origin(holds(gate))

    with pytest.raises(RefusedError, match=r"did not end within 0\.2 s"):
        looked_up(options(origin.url, timeout_s=0.2), {}, "/registry", "show")

    gate.open()
