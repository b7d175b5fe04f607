"""Facts about words that several of the publishers' commands understand."""

import argparse

import pytest

from proxy.publishing.words import add_settings, whole


@pytest.mark.parametrize("text", ["1", "42", "9" * 16])
def test_a_whole_number_from_1_is_one(text: str) -> None:
    assert whole(text) == int(text)


@pytest.mark.parametrize("text", ["", "0", "-1", "1.0", "1e3", "x", "\u0663", "9" * 17, " 1"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="a whole number from 1 is needed"):
        whole(text)


def test_settings_that_are_not_named_are_not_said() -> None:
    parser = argparse.ArgumentParser()
    add_settings(parser)

    assert (vars(parser.parse_args([])), parser.parse_args(["-c", "f"]).config) == ({}, "f")
