"""A target for libFuzzer: any bytes to the pure readers, in any pieces.

`python -m tests.fuzz.atheris_readers [-runs=N] [-seed=N] [CORPUS]`. The first byte of an input says
which reader it goes to, the next ones where it is cut.
"""

import sys

import atheris

with atheris.instrument_imports(include=["proxy.wire", "proxy.errors"]):
    from tests.support.fuzz_readers import check_answer, check_chunks, check_request

CUTS = 3


def one_input(octets: bytes) -> None:
    """Goes wrong where something is wrong."""
    if len(octets) < CUTS + 2:
        return
    kind, places, data = octets[0] % 4, list(octets[1 : CUTS + 1]), octets[CUTS + 1 :]
    if kind == 0:
        check_request(data, places)
    elif kind == 1:
        check_chunks(data, places)
    else:
        check_answer(data, places, bodiless=kind == 2)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
