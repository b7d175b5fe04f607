"""Facts about which change breaks somebody."""

from typing import Any

import pytest

from proxy.generations.severity import (
    ChangeClass,
    Definition,
    class_of,
    gained,
    judged,
    moved,
    narrowed,
    worst,
)
from proxy.registry.address import parse_address
from proxy.registry.model import Dependencies, Parameter, Server, Tool

COSMETIC, COMPATIBLE, BREAKING = ChangeClass


def test_the_worse_class_is_the_greater() -> None:
    assert COSMETIC < COMPATIBLE < BREAKING
    assert max(BREAKING, COSMETIC, COMPATIBLE) is BREAKING


def test_classes_are_the_contracts_words() -> None:
    assert [each.value for each in ChangeClass] == ["cosmetic", "compatible", "breaking"]


def test_the_worst_counts() -> None:
    assert worst([COMPATIBLE, BREAKING, COMPATIBLE]) is BREAKING
    assert worst([]) is COMPATIBLE
    assert (judged(breaks=True), judged(breaks=False)) == (BREAKING, COMPATIBLE)


@pytest.mark.parametrize(
    ("kind", "key", "old", "new", "breaks"),
    [
        pytest.param(Server, "docker_image", "a", "b", False, id="image"),
        pytest.param(Server, "limits.max_requests", 9, 1, False, id="limit"),
        pytest.param(Server, "forward_headers", ("a", "b"), ("b",), True, id="header-lost"),
        pytest.param(Server, "forward_headers", ("a",), ("b", "a"), False, id="header-gained"),
        pytest.param(Server, "authorized_teams", (), ("a",), True, id="closed-to-others"),
        pytest.param(Server, "authorized_teams", ("a",), (), False, id="opened-to-all"),
        pytest.param(Server, "authorized_teams", ("a", "b"), ("a",), True, id="team-lost"),
        pytest.param(Server, "authorized_teams", ("a",), ("b",), True, id="team-replaced"),
        pytest.param(Server, "passthrough", True, False, True, id="closed"),
        pytest.param(Server, "passthrough", True, ("/a",), True, id="open-in-part"),
        pytest.param(Server, "passthrough", True, ("/",), False, id="all-is-below-the-root"),
        pytest.param(Server, "passthrough", ("/a",), True, False, id="opened"),
        pytest.param(Server, "passthrough", ("/a/b",), ("/a",), False, id="still-below"),
        pytest.param(Server, "passthrough", ("/ab",), ("/a",), True, id="not-below"),
        pytest.param(Server, "passthrough", ("/a",), ("/a/",), True, id="itself-closed"),
        pytest.param(Server, "passthrough", False, (), False, id="closed-either-way"),
        pytest.param(Tool, "idempotent", True, False, False, id="idempotence"),
        pytest.param(Tool, "method", "GET", "PUT", True, id="method"),
        pytest.param(Tool, "path", "/a", "/b", True, id="path"),
        pytest.param(
            Tool,
            "upstream_dependencies",
            Dependencies(credentials_required=("A",)),
            None,
            False,
            id="all-let-go",
        ),
        pytest.param(
            Tool,
            "upstream_dependencies",
            None,
            Dependencies(credentials_required=("A",)),
            True,
            id="credential-in-a-new-block",
        ),
        pytest.param(Parameter, "type", "string", "integer", True, id="type"),
        pytest.param(Parameter, "required", True, False, False, id="let-go"),
        pytest.param(Parameter, "required", False, True, True, id="required"),
        pytest.param(Parameter, "default", 1, 2, False, id="default"),
    ],
)
def test_a_key_is_judged_by_what_callers_rely_on(
    kind: type[Definition], key: str, old: Any, new: Any, *, breaks: bool
) -> None:
    assert class_of(kind, key, old, new) is judged(breaks=breaks)


@pytest.mark.parametrize(
    ("new", "has_moved"),
    [
        (["http://a:80", "http://c:80"], False),
        (["https://a:80"], True),
        (["http://a:81"], True),
        (["http://a:80/base"], True),
    ],
)
def test_a_server_has_moved_when_no_address_stays(new: list[str], *, has_moved: bool) -> None:
    old = [parse_address("http://a:80"), parse_address("http://b:80")]

    assert moved(tuple(old), tuple(map(parse_address, new))) is has_moved


def test_no_list_of_allowed_values_allows_all() -> None:
    assert narrowed((), ("a",))
    assert narrowed(("a", "b"), ("a",))
    assert not narrowed(("a",), ("a", "b"))
    assert not narrowed(("a",), ())


def test_what_was_there_is_not_gained() -> None:
    assert gained(("a",), ("a", "b"))
    assert not gained(("a", "b"), ("a",))
