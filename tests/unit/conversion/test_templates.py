import pytest

from proxy.conversion.notes import NotCarriedError
from proxy.conversion.templates import constant, line, only, template, variables

KNOWN = {"server_name": "app.example", "name": "$1"}


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ("$host:$server_port", "$host:$server_port"),
        ("${host}x", "${host}x"),
        ("$server_name/$name", "app.example/$1"),
        ("${name}st", "${1}st"),
        ("$query_string", "$args"),
        ("$http_x_any $cookie_a $arg_b", "$http_x_any $cookie_a $arg_b"),
        ("100$", "100$$"),
        ("$1$2", "$1$2"),
    ],
)
def test_variables_become_ours(text: str, written: str) -> None:
    assert template(text, KNOWN) == written


def test_a_variable_without_a_counterpart_is_named() -> None:
    with pytest.raises(NotCarriedError, match=r"no variable \$remote_user"):
        template("x $remote_user", KNOWN)


def test_a_place_that_depends_on_the_request_is_no_constant() -> None:
    assert constant("$server_name", KNOWN) == "app.example"
    with pytest.raises(NotCarriedError, match=r"depends on \$host"):
        constant("$host", KNOWN)


def test_a_line_has_no_characters_that_cannot_be_seen() -> None:
    with pytest.raises(NotCarriedError, match="cannot be seen"):
        line("a\nb", KNOWN)


def test_names_are_found_in_both_spellings() -> None:
    assert variables("$a-${b}$1") == ["a", "b", "1"]
    assert (only("$a"), only("${a}"), only("$a/x"), only("a")) == ("a", "a", "", "")
