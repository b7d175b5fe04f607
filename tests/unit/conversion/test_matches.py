import pytest

from proxy.conversion.matches import ANY, Match, path_as_sent
from proxy.conversion.notes import NotCarriedError


def asks(kind: str, path: str) -> Match:
    return Match(kind=kind, path=path)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        pytest.param(ANY, asks("prefix", "/a"), asks("prefix", "/a"), id="anything"),
        pytest.param(
            asks("prefix", "/a"), asks("prefix", "/ab"), asks("prefix", "/ab"), id="longer"
        ),
        pytest.param(asks("prefix", "/a"), asks("exact", "/ab"), asks("exact", "/ab"), id="exact"),
        pytest.param(asks("exact", "/a"), asks("exact", "/b"), None, id="two-exact"),
        pytest.param(asks("exact", "/a"), asks("prefix", "/ab"), None, id="exact-above"),
        pytest.param(asks("exact", "/a"), asks("regex", "^/a$"), asks("exact", "/a"), id="regex"),
        pytest.param(asks("exact", "/a"), asks("regex", "b"), None, id="regex-elsewhere"),
        pytest.param(
            Match(hosts=("*.a",)), Match(hosts=("x.a", "y.b")), Match(hosts=("x.a",)), id="hosts"
        ),
        pytest.param(Match(hosts=("a",)), Match(hosts=("b",)), None, id="other-hosts"),
        pytest.param(
            Match(methods=("GET", "PUT")),
            Match(methods=("PUT",)),
            Match(methods=("PUT",)),
            id="methods",
        ),
        pytest.param(Match(scheme="http"), Match(scheme="https"), None, id="schemes"),
        pytest.param(
            Match(headers=(("A", "1"),)), Match(headers=(("A", "2"),)), None, id="headers"
        ),
    ],
)
def test_two_conditions_are_one_or_none(one: Match, other: Match, both: Match | None) -> None:
    assert one.and_(other) == both


def test_two_expressions_are_too_much() -> None:
    with pytest.raises(NotCarriedError, match="one expression"):
        asks("regex", "a").and_(asks("regex", "b"))


def test_only_what_is_asked_is_written() -> None:
    match = Match(hosts=("a", "b"), kind="prefix", path="/", methods=("GET",), port=80)

    assert match.written() == {"host": ["a", "b"], "methods": ["GET"], "port": 80}
    assert ANY.written() == {}


def test_paths_are_written_as_they_are_sent() -> None:
    assert path_as_sent("/a b/ü~%") == "/a%20b/%C3%BC~%25"
    with pytest.raises(NotCarriedError, match="expected a path"):
        path_as_sent("a")


@pytest.mark.parametrize("path", ["/%2e%2e/", "/a/../b", "no-slash"])
def test_path_that_settings_refuse_is_not_carried_over(path: str) -> None:
    with pytest.raises(NotCarriedError):
        path_as_sent(path)
