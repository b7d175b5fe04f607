"""Odd bytes to the pure readers: only `ProxyError` comes out, and nothing odd goes on."""

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.fuzz_messages import Messages, seeded
from tests.support.fuzz_mutations import mutated
from tests.support.fuzz_readers import check_answer, check_chunks, check_request
from tests.support.fuzz_scripts import Scripts
from tests.support.messy import cuts
from tests.support.sidecar import ROOT

RUNS = 60_000
SEEDS_OF_EACH = 100
CHANCES = st.randoms(use_true_random=False)


@settings(deadline=None, max_examples=300)
@given(CHANCES, cuts)
def test_requests_are_taken_as_a_strict_reader_takes_them(
    chance: random.Random, places: list[int]
) -> None:
    check_request(mutated(chance, Messages(chance).request()), places)


@settings(deadline=None, max_examples=300)
@given(CHANCES, cuts, st.booleans())
def test_answers_are_taken_as_a_strict_reader_takes_them(
    chance: random.Random,
    places: list[int],
    bodiless: bool,  # noqa: FBT001
) -> None:
    check_answer(Scripts(chance).odd(1, bodiless=bodiless).octets, places, bodiless=bodiless)


@settings(deadline=None, max_examples=300)
@given(CHANCES, cuts, st.binary(max_size=20))
def test_chunks_are_taken_as_a_strict_reader_takes_them(
    chance: random.Random, places: list[int], payload: bytes
) -> None:
    check_chunks(mutated(chance, Messages(chance).chunked(payload)), places)


@pytest.mark.slow
@pytest.mark.timeout(150)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_no_path_through_the_readers_goes_wrong(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for number, octets in enumerate(seeds()):
        (corpus / str(number)).write_bytes(octets)

    ended = subprocess.run(  # noqa: S603 - our own module, arguments of constants
        [
            *(sys.executable, "-m", "tests.fuzz.atheris_readers", "-seed=1", f"-runs={RUNS}"),
            *(f"-artifact_prefix={tmp_path}{os.sep}", str(corpus)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    left = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert (ended.returncode, left) == (0, {}), ended.stderr[-4000:]


def seeds() -> list[bytes]:
    """Inputs from which libFuzzer sets out: a few of each kind that the harness knows."""
    chance = seeded(1)
    messages, scripts = Messages(chance), Scripts(chance)
    found = []
    for _ in range(SEEDS_OF_EACH):
        octets = [messages.request(), messages.chunked(b"hello")]
        octets += [scripts.odd(1, bodiless=bodiless).octets for bodiless in (True, False)]
        found += [bytes([kind, *chance.randbytes(3)]) + each for kind, each in enumerate(octets)]
    return found
