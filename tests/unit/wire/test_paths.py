"""Facts about paths: one spelling of each is matched and sent, and none leads elsewhere."""

import pytest

from proxy import errors
from proxy.wire.paths import clean_path, refuse_dots

SPELLINGS = {
    "plain": (b"/a/b.c/.d", b"/a/b.c/.d"),
    "unreserved": (b"/%41%7a%7E%2d%5F%30", b"/Az~-_0"),
    "reserved": (b"/a%2Fb%3fc%25%20", b"/a%2Fb%3fc%25%20"),
    "beside-unreserved": (b"/%40%5b%60%7b%3a%2f", b"/%40%5b%60%7b%3a%2f"),
    "once": (b"/%2541", b"/%2541"),
    "no-hexadecimal": (b"/%4/%zz%", b"/%4/%zz%"),
    "slashes": (b"//a//b", b"//a//b"),
    "three-dots": (b"/.../a..b/..c/d..", b"/.../a..b/..c/d.."),
    "hidden-file": (b"/.well-known/x", b"/.well-known/x"),
}
DOTS = [
    b"/..",
    b"/.",
    b"/a/../b",
    b"/a/./b",
    b"/a/%2e%2E/b",
    b"/a/.%2e/b",
    b"/a/..%2fb",
    b"/a%2f..%2fb",
    b"/a%5c..%5Cb",
    b"/a\\..\\b",
    b"/a/..;x=1/b",
    b"/a/..%3bx/b",
    b"/a/%252e%252e/b",
    b"/a%252f..",
    b"/a/..\\b",
]
RESOLVED = {
    b"/a/../b": b"/b",
    b"/a/./b": b"/a/b",
    b"/a/b/..": b"/a/",
    b"/a/.": b"/a/",
    b"/a/b/%2e%2e/c": b"/a/c",
    b"/a//../b": b"/a/b",
    b"/a/b/../..": b"/",
}


@pytest.mark.parametrize(("sent", "cleaned"), SPELLINGS.values(), ids=SPELLINGS)
def test_one_path_has_one_spelling(sent: bytes, cleaned: bytes) -> None:
    assert clean_path(sent) == cleaned
    assert clean_path(cleaned) == cleaned


@pytest.mark.parametrize("path", DOTS)
def test_path_that_leads_elsewhere_is_refused(path: bytes) -> None:
    with pytest.raises(errors.BadValueError):
        clean_path(path)


@pytest.mark.parametrize(("path", "resolved"), RESOLVED.items())
def test_dots_are_resolved_where_that_is_wanted(path: bytes, resolved: bytes) -> None:
    assert clean_path(path, resolve_dots=True) == resolved


@pytest.mark.parametrize("path", [b"/..", b"/a/../../b", b"/a%2f..%2fb", b"/a/..;/b", b"/a\\..\\b"])
def test_what_cannot_be_resolved_is_refused(path: bytes) -> None:
    with pytest.raises(errors.BadValueError):
        clean_path(path, resolve_dots=True)


def test_slashes_are_merged_where_that_is_wanted() -> None:
    assert clean_path(b"//a///b/", merge_slashes=True) == b"/a/b/"
    assert clean_path(b"/a//../b", merge_slashes=True, resolve_dots=True) == b"/b"


def test_path_without_dots_passes() -> None:
    refuse_dots(b"/a/b")
