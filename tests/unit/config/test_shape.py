"""Facts about how plain values are read into structs."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import Struct, field

from proxy.config.compose import Odd
from proxy.config.document import Problem
from proxy.config.shape import Count, PlainMapping, Seconds, UnfitError, fit, plain


class Inner(Struct, frozen=True, kw_only=True):
    wait_s: Seconds = field(name="wait", default=1.0)
    size: Count = 1

    def __post_init__(self) -> None:
        if self.size == 13:
            raise UnfitError("unlucky", code="LUCK", key="size")
        if self.size == 14:
            raise ValueError("no better")


def _shout(value: object) -> str:
    return str(value).upper()


class Outer(Struct, frozen=True, kw_only=True):
    name: str
    inner: Inner = Inner()
    on: bool = False
    share: float = 0.5
    level: Literal["low", "high"] = "low"
    names: tuple[str, ...] = ()
    inners: tuple[Inner, ...] = ()
    by_name: dict[str, int] = {}
    kept: PlainMapping = {}
    shouted: Annotated[str, _shout] | None = None


def problems_of(value: object) -> list[tuple[str, str]]:
    return [
        (".".join(map(str, problem.path)), problem.code) for problem in fit(Outer, value).problems
    ]


def test_every_kind_of_field_is_read() -> None:
    value = {
        "name": "n",
        "inner": {"wait": "250ms"},
        "on": True,
        "share": 1,
        "level": "high",
        "names": ["a"],
        "inners": [{"size": 2}],
        "by_name": {"a": 1},
        "kept": {"date": Odd("date", "2024-01-01")},
        "shouted": "hey",
    }

    assert fit(Outer, value).value == Outer(
        name="n",
        inner=Inner(wait_s=0.25),
        on=True,
        share=1.0,
        level="high",
        names=("a",),
        inners=(Inner(size=2),),
        by_name={"a": 1},
        kept={"date": "2024-01-01"},
        shouted="HEY",
    )


def test_null_says_nothing() -> None:
    assert fit(Outer, {"name": "n", "inner": None, "on": None}).value == Outer(name="n")


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        pytest.param(3, [("", "BAD_TYPE")], id="no-mapping"),
        pytest.param({}, [("name", "MISSING_FIELD")], id="missing"),
        pytest.param({"name": None}, [("name", "MISSING_FIELD")], id="null-for-required"),
        pytest.param({"name": 3}, [("name", "BAD_TYPE")], id="number"),
        pytest.param({"name": Odd("date", "x")}, [("name", "BAD_TYPE")], id="odd"),
        pytest.param({"name": "n", "nme": 1}, [("nme", "UNKNOWN_KEY")], id="unknown"),
        pytest.param({"name": "n", "inner": []}, [("inner", "BAD_TYPE")], id="struct"),
        pytest.param(
            {"name": "n", "inner": {"wait": "x"}}, [("inner.wait", "BAD_VALUE")], id="unit"
        ),
        pytest.param(
            {"name": "n", "inner": {"wait": []}}, [("inner.wait", "BAD_TYPE")], id="quantity"
        ),
        pytest.param(
            {"name": "n", "inner": {"size": 0}}, [("inner.size", "BAD_VALUE")], id="count"
        ),
        pytest.param(
            {"name": "n", "inner": {"size": 1.5}}, [("inner.size", "BAD_TYPE")], id="fraction"
        ),
        pytest.param({"name": "n", "inner": {"size": 13}}, [("inner.size", "LUCK")], id="own-code"),
        pytest.param(
            {"name": "n", "inner": {"size": 14}}, [("inner", "BAD_VALUE")], id="post-init"
        ),
        pytest.param({"name": "n", "on": 1}, [("on", "BAD_TYPE")], id="truth"),
        pytest.param({"name": "n", "share": True}, [("share", "BAD_TYPE")], id="share"),
        pytest.param({"name": "n", "level": "hgh"}, [("level", "BAD_VALUE")], id="word"),
        pytest.param({"name": "n", "level": 3}, [("level", "BAD_TYPE")], id="no-word"),
        pytest.param({"name": "n", "names": "a"}, [("names", "BAD_TYPE")], id="list"),
        pytest.param({"name": "n", "names": ["a", None]}, [("names.1", "BAD_TYPE")], id="item"),
        pytest.param({"name": "n", "by_name": 1}, [("by_name", "BAD_TYPE")], id="mapping"),
        pytest.param({"name": "n", "kept": 1}, [("kept", "BAD_TYPE")], id="kept"),
        pytest.param(
            {"on": 1, "share": "x"},
            [("on", "BAD_TYPE"), ("share", "BAD_TYPE"), ("name", "MISSING_FIELD")],
            id="all-at-once",
        ),
    ],
)
def test_what_does_not_fit_is_named(value: object, problems: list[tuple[str, str]]) -> None:
    assert (fit(Outer, value).value, problems_of(value)) == (None, problems)


def test_unknown_key_may_be_a_mere_warning_with_a_suggestion() -> None:
    found = fit(Outer, {"name": "n", "inner": {"wiat": 1}}, ("a", 0), unknown="warning")

    message = "unknown key, did you mean wait?"
    problem = Problem(("a", 0, "inner", "wiat"), "UNKNOWN_KEY", message, "warning")
    assert found == (Outer(name="n"), [problem])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": False}, "expected a string, got a truth value: quote it"),
        ({"name": object()}, "expected a string, got something else"),
        ({"name": "n", "level": "hgh"}, "expected one of low, high, did you mean high?"),
        ({"name": "n", "inner": {"size": -1}}, "must be at least 1"),
    ],
)
def test_message_says_what_was_expected(value: object, message: str) -> None:
    assert [problem.message for problem in fit(Outer, value).problems] == [message]


def test_plain_values_are_what_json_can_say() -> None:
    value: Any = {"a": [Odd("date", "2024-01-01"), (1, None)], "b": {"c": 1.5}}

    assert plain(value) == {"a": ["2024-01-01", [1, None]], "b": {"c": 1.5}}
