"""Pages become one list without a row lost or twice."""

from collections.abc import Callable

import pytest

from proxy.client import listing
from proxy.client.errors import GatewayError
from proxy.client.listing import Fetch, Page, all_pages, page_of, page_target, with_query


def rows(count: int) -> list[dict[str, object]]:
    return [{"n": number} for number in range(count)]


def paged(table: Callable[[], Page], asked: list[tuple[int, bool]]) -> Fetch:
    async def fetch(page: int, *, fresh: bool) -> Page:
        asked.append((page, fresh))
        found = table()
        return Page(found.rows[(page - 1) * 1000 : page * 1000], found.generation)

    return fetch


@pytest.mark.parametrize(
    ("count", "pages"), [(0, 1), (1, 1), (999, 1), (1000, 2), (1001, 2), (2000, 3), (2500, 3)]
)
async def test_pages_are_walked_while_full_ones_come(count: int, pages: int) -> None:
    asked: list[tuple[int, bool]] = []
    found = await all_pages(paged(lambda: Page(rows(count), 1), asked), "list", fresh=False)

    assert (found.rows, len(asked)) == (rows(count), pages)


async def test_list_that_changes_meanwhile_is_read_again() -> None:
    asked: list[tuple[int, bool]] = []
    tables = [Page(rows(1500), 1), Page(rows(1400), 2)]
    fetch = paged(lambda: tables[0] if len(asked) == 1 else tables[1], asked)
    found = await all_pages(fetch, "list", fresh=False)

    assert found == tables[1]
    assert asked == [(1, False), (2, False), (1, True), (2, True)]


async def test_list_that_never_keeps_still_is_given_up() -> None:
    asked: list[tuple[int, bool]] = []
    fetch = paged(lambda: Page(rows(1500), len(asked)), asked)

    with pytest.raises(GatewayError, match="list: the list changed 5 times while it was read"):
        await all_pages(fetch, "list", fresh=False)


async def test_list_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_PAGES", 3)

    async def fetch(page: int, *, fresh: bool) -> Page:
        assert fresh, page
        return Page(rows(1000), 1)

    with pytest.raises(GatewayError, match="more than 3 full pages"):
        await all_pages(fetch, "list", fresh=True)


def test_pages_count_from_one() -> None:
    assert page_target("/x", 3, 50, server="a b&c") == "/x?offset=100&limit=50&server=a+b%26c"


@pytest.mark.parametrize(("page", "size"), [(0, 10), (-1, 10), (1, 0), (1, 1001)])
def test_pages_that_cannot_be_are_refused(page: int, size: int) -> None:
    with pytest.raises(ValueError, match="page"):
        page_target("/x", page, size)


def test_query_goes_behind_a_query() -> None:
    assert with_query("/x?a=1", b="2", c=None) == "/x?a=1&b=2"


@pytest.mark.parametrize("document", [None, [], {}, {"tools": None}, {"tools": [1]}])
def test_what_is_no_list_is_an_error(document: object) -> None:
    with pytest.raises(GatewayError, match="no list of tools"):
        page_of(document, "tools", "list_tools")
