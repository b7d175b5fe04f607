"""Facts about metrics as text: pieces of a family are one family, whatever stands in a label."""

from collections.abc import Callable, Iterable, Iterator

import pytest
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.parser import text_string_to_metric_families

from proxy.telemetry.exposition import Encode, written

Read = Callable[[str], Iterable[Metric]]

FORMATS = pytest.mark.parametrize(
    ("encode", "read"),
    [
        pytest.param(generate_latest, text_string_to_metric_families, id="text"),
        pytest.param(
            openmetrics.generate_latest,
            openmetrics_parser.text_string_to_metric_families,
            id="openmetrics",
        ),
    ],
)


def pieces(*names: str, kind: type[GaugeMetricFamily] = GaugeMetricFamily) -> Iterator[Metric]:
    for number, name in enumerate(names):
        family = kind(name, "What\nit is.", labels=["of"])
        family.add_metric([str(number)], number)
        yield family


def text_of(given: Iterable[Metric], encode: Encode) -> str:
    return b"".join(written(given, encode)).decode()


def values_of(text: str, read: Read) -> dict[str, list[float]]:
    return {family.name: [each.value for each in family.samples] for family in read(text)}


@FORMATS
def test_pieces_of_a_family_are_one(encode: Encode, read: Read) -> None:
    text = text_of(pieces("a", "a", "b", "b", "b", "c"), encode)

    assert values_of(text, read) == {"a": [0, 1], "b": [2, 3, 4], "c": [5]}
    assert [text.count(f"# {word} b ") for word in ("HELP", "TYPE")] == [1, 1]


@FORMATS
def test_pieces_are_what_the_library_writes_in_one(encode: Encode, read: Read) -> None:
    del read
    whole = GaugeMetricFamily("a", "What\nit is.", labels=["of"])
    for number in range(3):
        whole.add_metric([str(number)], number)

    assert text_of(pieces("a", "a", "a"), encode) == text_of([whole], encode)


@FORMATS
@pytest.mark.parametrize(
    "value",
    [
        '"',
        "\\",
        "a\n# b",
        "# HELP a b",
        pytest.param(
            "\r# x",
        ),
        "\u2028",
        "é",
    ],
)
def test_odd_label_comes_back_as_it_was(encode: Encode, read: Read, value: str) -> None:
    families = []
    for other in ("", value):
        family = GaugeMetricFamily("a", "A.", labels=["of"])
        family.add_metric([other], 1)
        families.append(family)

    (read_back,) = read(text_of(families, encode))

    assert [each.labels["of"] for each in read_back.samples] == ["", value]


@FORMATS
def test_family_without_samples_is_named_even_so(encode: Encode, read: Read) -> None:
    text = text_of([CounterMetricFamily("a", "A.", labels=["of"])], encode)

    assert values_of(text, read) == {"a": []}


def test_open_metrics_ends_once_and_text_never() -> None:
    encoders: tuple[Encode, ...] = (openmetrics.generate_latest, generate_latest)

    texts = [text_of(pieces("a", "b"), each) for each in encoders]

    assert [text.count("# EOF") for text in texts] == [1, 0]
    assert texts[0].endswith("# EOF\n")


def test_nothing_is_made_before_it_is_asked_for() -> None:
    given = pieces("a", "b")

    first = next(written(given, generate_latest))

    assert b"a{" in first
    assert next(given).name == "b"
