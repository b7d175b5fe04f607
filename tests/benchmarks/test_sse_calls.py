"""Calls that say when they were sent."""

import re
import time

import pytest

from benchmarks.load.request import Target
from benchmarks.peers.toolproxy import COMPILED, TOOLPROXY
from benchmarks.sse.calls import Stamped
from benchmarks.sse.ears import MARK, CountingEar
from benchmarks.sse.peers import NCHAN, Tongue, tongue_of

TONGUES = [
    pytest.param(tongue_of(NCHAN), id=NCHAN.key),
    pytest.param(tongue_of(TOOLPROXY), id=TOOLPROXY.key),
]


def request_in(tongue: Tongue) -> Stamped:
    target = Target.of(f"http://127.0.0.1:1{tongue.produce}")
    request = Stamped.of(target, "POST", [*tongue.headers], tongue.body)
    assert isinstance(request, Stamped)
    return request


@pytest.mark.parametrize("tongue", TONGUES)
def test_each_copy_carries_the_moment_at_which_it_was_asked_for(tongue: Tongue) -> None:
    request = request_in(tongue)

    began_ns = time.monotonic_ns()
    found = [re.findall(rb"t-(\d{19})", request.octets) for _ in range(2)]

    (first,), (second,) = found
    assert began_ns <= int(first) < int(second) <= time.monotonic_ns()


@pytest.mark.parametrize("tongue", TONGUES)
def test_a_stamp_changes_no_length(tongue: Tongue) -> None:
    request = request_in(tongue)

    head, _, body = request.octets.partition(b"\r\n\r\n")

    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")


def test_what_is_published_is_counted_once() -> None:
    ear = CountingEar()

    ear.take(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n", 0)
    ear.take(b"id: 1\ndata: %b\n\n" % tongue_of(NCHAN).body, 0)

    assert (ear.heard, MARK in tongue_of(NCHAN).body) == (1, True)


def test_both_builds_are_spoken_to_alike() -> None:
    assert tongue_of(TOOLPROXY) is tongue_of(COMPILED)
