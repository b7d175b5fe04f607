import pytest

from proxy.config.expressions import expression as expression_of
from proxy.conversion.notes import NotCarriedError
from proxy.conversion.patterns import pattern, whole


def test_named_captures_are_numbers_here() -> None:
    found = pattern(r"^/(?<user>\w+)/(?P<order>\d+)$")

    assert found.text == r"^/(?P<user>\w+)/(?P<order>\d+)$"
    assert found.captures == {"user": "$1", "order": "$2"}


def test_letters_of_either_case_match_when_asked_so() -> None:
    found = pattern(r"\.(png|css)$", folded=True)

    assert expression_of(found.text).search(b"/LOGO.PNG")


@pytest.mark.parametrize(
    "text",
    ["(", "a b", "é", r"^/(?>x)\K", "a" * 1_001],
    ids=["open", "space", "accent", "pcre", "long"],
)
def test_what_only_pcre_knows_is_refused(text: str) -> None:
    with pytest.raises(NotCarriedError):
        pattern(text)


def test_a_capture_that_is_not_there_is_refused() -> None:
    assert whole(pattern("(a)(b)"), "$2$1") == "$2$1"
    with pytest.raises(NotCarriedError, match="capture"):
        whole(pattern("(a)"), "/$2")
