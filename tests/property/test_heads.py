"""A head means the same however it was cut, and so does its refusal."""

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from proxy.wire.reader import HeadLimits
from tests.support.heads import octet_by_octet, request_verdict, response_verdict
from tests.support.messy import answers, cut, cuts, mutated, requests

SMALL = HeadLimits(line_bytes=40, head_bytes=120, fields=4)
LIMITS = st.sampled_from([HeadLimits(), SMALL, HeadLimits(underscores=True)])
REQUESTS = mutated(requests().map(b"".join))
ANSWERS = mutated(answers().map(b"".join))


@settings(deadline=None, max_examples=150)
@given(REQUESTS, cuts, LIMITS)
@example(b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", [1], HeadLimits())
@example(b"GE\x00T / HTTP/1.1\r\nHost: a\r\n\r\n", [2], HeadLimits())
def test_request_means_the_same_however_it_is_cut(
    octets: bytes, places: list[int], limits: HeadLimits
) -> None:
    assume(octets)

    whole = request_verdict([octets], limits)

    assert request_verdict(cut(octets, places), limits) == whole
    assert request_verdict(octet_by_octet(octets), limits) == whole


@settings(deadline=None, max_examples=150)
@given(ANSWERS, cuts, LIMITS)
def test_answer_means_the_same_however_it_is_cut(
    octets: bytes, places: list[int], limits: HeadLimits
) -> None:
    assume(octets)

    whole = response_verdict([octets], limits)

    assert response_verdict(cut(octets, places), limits) == whole
    assert response_verdict(octet_by_octet(octets), limits) == whole


@settings(deadline=None, max_examples=150)
@given(st.binary(min_size=1, max_size=60), cuts)
def test_noise_means_the_same_however_it_is_cut(octets: bytes, places: list[int]) -> None:
    pieces = cut(octets, places)

    assert request_verdict(pieces) == request_verdict([octets])
    assert response_verdict(pieces) == response_verdict([octets])


@settings(deadline=None, max_examples=100)
@given(REQUESTS, cuts)
def test_request_that_is_taken_holds_no_control_byte(octets: bytes, places: list[int]) -> None:
    assume(octets)

    verdict = request_verdict(cut(octets, places))

    if isinstance(verdict, tuple):
        _, _, _, joined, *others, _ = verdict
        lines = joined.split(b"\r\n")
        assert lines[0] == b""  # each line has its CRLF in front
        assert all(lines[1:])
        for value in [*lines, *_octets_of([verdict[:3], others])]:
            assert not set(value) & {0, 10, 13}


def _octets_of(value: object) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    if isinstance(value, dict):
        return [each for pair in value.items() for each in _octets_of(pair)]
    if isinstance(value, list | tuple):
        return [octets for each in value for octets in _octets_of(each)]
    return []
