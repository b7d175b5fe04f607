"""Facts about templates in settings: their parts, and what is a mistake."""

import pytest

from proxy.config.templates import groups_in, template

PARTS = {
    "constant": ("ok", ("ok",)),
    "nothing": ("", ("",)),
    "name": ("$host", ("", "host", "")),
    "braces": ("${host}s", ("", "host", "s")),
    "between": ("https://new$request_uri#x", ("https://new", "request_uri", "#x")),
    "neighbours": ("$scheme$host", ("", "scheme", "", "host", "")),
    "dollar": ("a$$host", ("a$host",)),
    "dollar-and-name": ("$$$host", ("$", "host", "")),
    "header": ("$http_x_Some", ("", "http_x_Some", "")),
    "cookie": ("$cookie_a", ("", "cookie_a", "")),
    "argument": ("$arg_b", ("", "arg_b", "")),
    "group": ("/x/$1", ("/x/", "1", "")),
    "group-in-braces": ("${1}0", ("", "1", "0")),
    "group-and-digit": ("$10", ("", "1", "0")),
    "name-ends-at-a-dash": ("$host-a", ("", "host", "-a")),
}
WRONG = {
    "unknown": ("$hots", "unknown variable $hots, did you mean host?"),
    "empty-header": ("$http_", "unknown variable $http_"),
    "group-nought": ("$0", "$ stands before the name of a variable"),
    "lone": ("5 $ each", "a dollar is $$"),
    "at-the-end": ("5$", "a dollar is $$"),
    "open-brace": ("${host", "a dollar is $$"),
    "too-long": ("x" * 65537, "must not be longer"),
}


@pytest.mark.parametrize(("written", "parts"), PARTS.values(), ids=PARTS)
def test_text_and_variables_stand_in_turns(written: str, parts: tuple[str, ...]) -> None:
    assert template(written) == parts


@pytest.mark.parametrize(("written", "why"), WRONG.values(), ids=WRONG)
def test_mistake_is_named(written: str, why: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - whose words are looked at
        template(written)

    assert why in str(raised.value)


def test_what_is_no_text_is_no_template() -> None:
    with pytest.raises(TypeError):
        template(1)


def test_highest_group_is_known() -> None:
    assert groups_in(template("$2$1$host")) == 2
    assert groups_in(template("$host")) == 0
