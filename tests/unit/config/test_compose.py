"""Facts about how YAML becomes plain values, and what it is refused for."""

import pytest
import yaml

from proxy.config import compose
from proxy.config.compose import Builder, Odd, RefusedError, events_of


def built(text: str) -> tuple[object, list[tuple[str, int | None]]]:
    builder = Builder()
    value = builder.build(events_of(text.encode()))
    return value, [(trap.code, trap.line) for trap in builder.traps]


def value_of(text: str) -> object:
    return built(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        "[1, -2, 0x1F, 0b11, 017, 1_000, 1:30, 1.5, 1e3, 1.0e+3, ~, null, yes, No, on, 'no']",
        "a: {b: [c, {d: }]}\ne: |\n  text\n",
        "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: {q: 3, <<: *x}",
        "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y], r: 1}\nd: {<<: *x, <<: *y}",
        "!!str 1",
        "! 1",
        '!!int "7"',
        "!!seq [!!map {a: !!null x}, !!float 1, !!bool yes]",
        '"<<": 1',
        "&a x: *a",
        "? &k key\n: 1\nother: *k",
        "- &a 1\n- *a",
        "=: 1",
    ],
)
def test_values_are_those_of_safe_load(text: str) -> None:
    assert value_of(text) == yaml.safe_load(text)


def test_aliases_share_one_object() -> None:
    value = value_of("[&a {x: 1}, *a]")

    assert isinstance(value, list)
    assert value[0] is value[1]


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("2024-01-01", Odd("date", "2024-01-01")),
        ("2024-13-45", Odd("date", "2024-13-45")),
        ("!!binary aGk=", Odd("binary value", "aGk=")),
        (".nan", Odd("number that is not finite", ".nan")),
        ("-.inf", Odd("number that is not finite", "-.inf")),
        ("9" * 20, Odd("number beyond 64 bits", "9" * 20)),
        ("1" + ":00" * 200, Odd("number of too many digits", "1" + ":00" * 200)),
        ("!!int x", Odd("broken int", "x")),
        ("!!bool x", Odd("broken bool", "x")),
        ("!!float ''", Odd("broken float", "")),
        ("!!set {a, b}", Odd("set", "")),
        ("!!omap [a: 1]", Odd("omap", "")),
    ],
)
def test_what_json_lacks_is_odd_and_a_trap(text: str, odd: Odd) -> None:
    assert built(text) == (odd, [("BAD_TYPE", 1)])


@pytest.mark.parametrize(
    ("text", "value", "code"),
    [
        ("on: 1", {"on": 1}, "BAD_TYPE"),
        ("7: 1", {"7": 1}, "BAD_TYPE"),
        ("~: 1", {"~": 1}, "BAD_TYPE"),
        ("2024-01-01: 1", {"2024-01-01": 1}, "BAD_TYPE"),
        ("a: 1\na: 2", {"a": 2}, "DUPLICATE_KEY"),
        ("[a]: 1", {}, "BAD_TYPE"),
        ("{{x}}", {}, "BAD_TYPE"),
        ("<<: 1", {}, "BAD_TYPE"),
        ("<<: [1]", {}, "BAD_TYPE"),
        ("{k: &a 1, *a : 2}", {"k": 1}, "BAD_TYPE"),
    ],
)
def test_trap_in_a_mapping_is_named(text: str, value: object, code: str) -> None:
    found, traps = built(text)

    assert (found, [trap[0] for trap in traps]) == (value, [code])


def test_alias_to_text_is_a_key() -> None:
    assert value_of("{k: &a x, *a : 2}") == {"k": "x", "x": 2}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a:\n- x\n- b: .nan\n", ("a", 1, "b")),
        ("a:\n  <<:\n    b: .nan\n", ("a", "<<", "b")),
        ("a:\n- x\n- [b]: 1\n", ("a", 1)),
    ],
)
def test_trap_knows_its_path_and_line(text: str, path: tuple[str | int, ...]) -> None:
    builder = Builder()
    builder.build(events_of(text.encode()))

    assert [(trap.path, trap.line) for trap in builder.traps] == [(path, 3)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("# nothing", "EMPTY_DOCUMENT"),
        ("a\n---\nb", "MANY_DOCUMENTS"),
        ("!own x", "CUSTOM_TAG"),
        ("!own [x]", "CUSTOM_TAG"),
        ("!!python/object:os.system x", "CUSTOM_TAG"),
        ("!!str [x]", "CUSTOM_TAG"),
        ("*a", "BAD_ALIAS"),
        ("&a [*a]", "BAD_ALIAS"),
        ("&a {x: {y: *a}}", "BAD_ALIAS"),
        ("[" * 65 + "]" * 65, "TOO_DEEP"),
        ("- &a " + "[" * 40 + "]" * 40 + "\n- " + "[" * 40 + "*a" + "]" * 40, "TOO_DEEP"),
    ],
)
def test_refused(text: str, code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        value_of(text)

    assert caught.value.code == code


def test_64_levels_are_fine() -> None:
    assert value_of("[" * 64 + "]" * 64)


def test_aliases_that_unfold_without_end_are_refused_at_once() -> None:
    laughs = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12))

    with pytest.raises(RefusedError, match="10,000,000 nodes"):
        value_of(f"a0: &a0 [x]\n{laughs}")


def test_unfolded_size_is_counted_to_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: &a [1, 2]\nb: *a\nc: {<<: {d: *a}}"  # 1 + (1+3) + (1+3) + (1+1+1+1+1+3)

    monkeypatch.setattr(compose, "MAX_NODES", 17)
    assert value_of(text)
    monkeypatch.setattr(compose, "MAX_NODES", 16)
    with pytest.raises(RefusedError):
        value_of(text)
