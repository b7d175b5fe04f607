"""Facts about records: what is written can be read, and what is read keeps to the grammar."""

from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from proxy.artifact import Floor
from proxy.generations.records import (
    Activation,
    Active,
    Floors,
    Latest,
    Published,
    R,
    read_record,
    written,
)
from tests.support.store_scene import AT, activation, name, signed

SIGNED = activation(1, signed(1))


@pytest.mark.parametrize(
    "record",
    [
        SIGNED,
        activation(1),
        Active(SIGNED, name(2)),
        Latest(name(1), AT, signed(1), "held"),
        Published(name(1), "2026-01-01T00:00:00.123Z", signed(1, 2**53 - 1, "client/profile")),
        Floors.of({"default": Floor(3, name(1)), "a/b": Floor(2, name(2))}),
        Floors({}),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_was_written_is_read(record: R) -> None:
    line = written(record)

    assert (read_record(line, type(record)), line.count(b"\n"), line[-1:]) == (record, 1, b"\n")


def test_people_find_names_in_what_was_written() -> None:
    document = orjson.loads(written(SIGNED))

    assert (document["reason"], document["signed"]["envelope"]["version"]) == ("source", 1)


@pytest.mark.parametrize(
    "change",
    [
        {"at": "yesterday"},
        {"at": AT + "\n"},
        {"generation": name(1).upper()},
        {"generation": "../" * 21 + "x"},
        {"reason": "whim"},
        {"servers": -1},
        {"tools": 1.5},
        {"source": "x" * 5_000},
        {"source": None},
        {"change_class": "x" * 65},
        {"signed": {"envelope": {}, "signature": ""}},
        {"signed": [[name(1), "default", 1, AT, "0" * 16], "!"]},
        {"signed": signed(1).document() | {"more": 1}},
    ],
    ids=str,
)
def test_what_keeps_not_to_the_grammar_is_refused(change: dict[str, Any]) -> None:
    document = orjson.loads(written(SIGNED)) | change

    with pytest.raises(ValueError, match=r"."):
        read_record(orjson.dumps(document), Activation)


@pytest.mark.parametrize("missing", ["at", "generation", "reason", "signed", "servers"])
def test_a_missing_field_is_refused(missing: str) -> None:
    document = orjson.loads(written(SIGNED))
    del document[missing]

    with pytest.raises(ValueError, match="missing required field"):
        read_record(orjson.dumps(document), Activation)


@pytest.mark.parametrize(
    "octets", [b"", b"\xff", b"{", b"null", b"[" * 100_000, b'{"a":' * 900 + b"1" + b"}" * 900]
)
def test_junk_is_refused_without_a_traceback(octets: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_record(octets, Active)


def test_a_field_of_a_later_release_is_passed_over() -> None:
    document = orjson.loads(written(SIGNED)) | {"weather": "fair"}

    assert read_record(orjson.dumps(document), Activation) == SIGNED


@pytest.mark.parametrize(
    "record",
    [
        replace(SIGNED, at="yesterday"),
        replace(SIGNED, source="\udcff"),
        Active(SIGNED, "ab"),
        Floors.of({"default": Floor(0, "")}),
        Floors.of({"a/b/c": Floor(1, name(1))}),
        Floors.of({str(each): Floor(1, name(1)) for each in range(1_001)}),
    ],
    ids=["time", "text", "pin", "version", "profile", "too-many"],
)
def test_what_could_not_be_read_again_is_not_written(record: R) -> None:
    with pytest.raises(ValueError, match=r"."):
        written(record)
