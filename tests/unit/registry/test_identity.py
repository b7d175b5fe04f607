"""Facts about identities: what is the same registry, whatever it was written in."""

import hashlib
import json  # noqa: TID251 - identities are held against json.dumps itself
import time

import pytest

from proxy.config.document import read_document
from proxy.registry import identity as module
from proxy.registry.identity import Canonical, canonical_of

DOCUMENT = {
    "version": "1.0",
    "servers": [
        {"namespace": "a", "port": 81, "rate": None, "tools": [{"name": "t", "idempotent": True}]},
        {"namespace": "b", "port": 81, "rate": None, "tools": [{"name": "t", "idempotent": True}]},
    ],
}
WAYS = {
    "block": """\
version: "1.0"
servers:
- namespace: a
  port: 81
  rate: null
  tools:
  - name: t
    idempotent: true
- namespace: b
  port: 81
  rate: null
  tools:
  - name: t
    idempotent: true
""",
    "reordered": """\
servers:
- {tools: [{idempotent: true, name: t}], rate: null, port: 81, namespace: a}
- {port: 81, namespace: b, tools: [{name: t, idempotent: true}], rate: null}
version: "1.0"
""",
    "comments-and-indentation": """\
# of the fleet
version:   '1.0'  # as text
servers:

      - namespace: a
        port: 81      # the usual one
        rate: ~
        tools:
              - name: t
                idempotent: yes

      - {namespace: b, port: 0x51, rate: , tools: [{name: "\\x74", idempotent: on}]}
""",
    "anchors": """\
version: "1.0"
servers:
- &a
  namespace: a
  port: 81
  rate:
  tools: &tools [{name: t, idempotent: true}]
- {<<: *a, namespace: b, tools: *tools}
""",
    "carriage-returns": '%YAML 1.1\r\n---\r\n{"version": "1.0",\r\n "servers": [&a {namespace: a,'
    " port: 81, rate: , tools: [{name: t, idempotent: true}]}, {<<: *a, namespace: b}]}\r\n...\r\n",
    "json": json.dumps(DOCUMENT),
    "json-with-room": "\n\t " + json.dumps(DOCUMENT, indent=4),
    "json-with-a-mark": "\ufeff" + json.dumps(DOCUMENT),
}


def of(text: str) -> Canonical:
    found = read_document(text)
    return canonical_of(found.root, shares=found.may_share)


def dumped(document: object) -> str:
    octets = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(octets).hexdigest()


@pytest.mark.parametrize("text", WAYS.values(), ids=WAYS)
def test_layout_changes_nothing(text: str) -> None:
    found = of(text)

    assert (found.identity, found.exact) == (dumped(DOCUMENT), True)


@pytest.mark.parametrize("change", ["81", "true", "null", '"t"', '"1.0"', '"port"'])
def test_any_value_changes_it(change: str) -> None:
    assert of(json.dumps(DOCUMENT).replace(change, '"x"', 1)).identity != dumped(DOCUMENT)


NUMBERS = [
    *("0", "-0", "-0.0", "0.1", "1.0", "1e5", "1E+5", "1e-05", "1e16", "1e22", "5e-324"),
    *("123456789.123456789", "9007199254740993"),
    *("18446744073709551615", "-9223372036854775808"),
]


@pytest.mark.parametrize("text", ["ä", "日本", "🦀", "\u2028", "\x7f", "e\u0301", "<<", "="])
def test_text_beyond_ascii_is_escaped(text: str) -> None:
    document = {text: [text]}

    assert of(json.dumps(document)).identity == dumped(document)
    assert of(json.dumps(document, ensure_ascii=False)).identity == dumped(document)


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_of_json_are_what_python_reads(number: str) -> None:
    found = of(f'{{"n": [{number}]}}')

    assert (found.identity, found.exact) == (dumped({"n": [json.loads(number)]}), True)


def test_one_and_one_point_nought_are_two() -> None:
    assert of('{"n": 1}').identity != of('{"n": 1.0}').identity


ODD = {
    "date": "a: 2024-01-01",
    "moment": "a: 2024-01-01T00:00:00Z",
    "set": "a: !!set {b, c}",
    "pairs": "a: !!pairs [b: 1]",
    "binary": "a: !!binary aGVsbG8=",
    "not-finite": "a: .nan",
    "infinite": "a: -.inf",
    "beyond-64-bits": "a: 18446744073709551616",
    "json-beyond-64-bits": '{"a": 18446744073709551616}',
    "json-not-finite": '{"a": NaN}',
    "json-too-large": '{"a": 1e999}',
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_what_json_lacks_has_an_identity_and_is_not_exact(text: str) -> None:
    found = of(text)

    assert (found.exact, len(found.identity), found.octets.isascii()) == (False, 64, True)
    assert found.identity == of(text).identity


def test_two_dates_are_two() -> None:
    assert of("a: 2024-01-01").identity != of("a: 2024-01-02").identity


def test_date_is_not_its_text() -> None:
    assert of("a: 2024-01-01").identity != of("a: '2024-01-01'").identity


# --- aliases ---


def bomb(height: int, leaf: str = "x") -> str:
    lines = [f"a0: &a0 [{', '.join([leaf] * 10)}]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, height)]
    return "\n".join(lines)


def test_long_texts_that_aliases_repeat_are_refused_quickly() -> None:
    found = read_document(bomb(5, "x" * 5_000))  # 500 MB unfolded
    began = time.perf_counter()

    with pytest.raises(ValueError, match="unfold to more than 256 MiB"):
        canonical_of(found.root, shares=found.may_share)

    assert time.perf_counter() - began < 1


def test_what_is_shared_is_looked_at_once() -> None:
    document: list[object] = ["x"]
    for _ in range(24):
        document = [document, document]
    began = time.perf_counter()

    with pytest.raises(ValueError, match="unfold"):
        canonical_of(document)

    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        [],
        {"a": "x" * 100},
        {"k" * 100: None},
        [[1], {"a": [None, True, 1.5]}],
        [["abc"] * 50] * 50,
        ["\N{SNOWMAN}" * 10],
    ],
)
def test_bound_is_about_what_is_written(document: object, monkeypatch: pytest.MonkeyPatch) -> None:
    written = len(canonical_of(document).octets)

    monkeypatch.setattr(module, "_MAX_CANONICAL_BYTES", 3 * written + 8)
    canonical_of(document)
    monkeypatch.setattr(module, "_MAX_CANONICAL_BYTES", written // 6 - 1)
    with pytest.raises(ValueError, match="unfold"):
        canonical_of(document)


@pytest.mark.parametrize("text", ["x", "🦀", "ä", "\0", '"'], ids=ascii)
def test_text_that_grows_when_it_is_escaped_is_measured_as_it_is_written(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    document = [text * 1_000] * 10
    written = len(canonical_of(document).octets)

    monkeypatch.setattr(module, "_MAX_CANONICAL_BYTES", written // 2)
    with pytest.raises(ValueError, match="unfold"):
        canonical_of(document)


def test_what_shares_nothing_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_CANONICAL_BYTES", 0)

    assert canonical_of([1], shares=False).octets == b"[1]"
