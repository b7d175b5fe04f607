"""Lists in pages: where a page is asked for, and all of them as one.

A list that changes between two pages is begun anew: no row is lost, and none comes twice.
"""

from collections.abc import Awaitable
from typing import Final, NamedTuple, Protocol
from urllib.parse import urlencode

from proxy.client.codec import mapping
from proxy.client.errors import GatewayError

LARGEST_PAGE: Final = 1000
_MOST_PAGES: Final = 10_000
_MOST_BEGINNINGS: Final = 5


class Page(NamedTuple):
    """Rows as they came, and of which list: another `generation` is another list."""

    rows: list[dict[str, object]]
    generation: object


def page_target(path: str, page: int, page_size: int, **filters: str | None) -> str:
    """Pages count from 1; raises `ValueError`."""
    if page < 1:
        raise ValueError(f"page counts from 1, and is {page}")
    if not 1 <= page_size <= LARGEST_PAGE:
        raise ValueError(f"page_size is 1 to {LARGEST_PAGE}, and is {page_size}")
    return with_query(path, offset=str((page - 1) * page_size), limit=str(page_size), **filters)


def with_query(path: str, **filters: str | None) -> str:
    """The path with those parameters that are set."""
    query = urlencode({key: value for key, value in filters.items() if value})
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def page_of(document: object, key: str, what: str) -> Page:
    """Raises `GatewayError` where the answer is no such list."""
    rows = mapping(document).get(key)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise GatewayError(f"{what} was answered with something that is no list of {key}")
    return Page(rows, mapping(document).get("generation"))


class Fetch(Protocol):
    """Gets the page of this number; asks for it anew where `fresh`."""

    def __call__(self, page: int, *, fresh: bool) -> Awaitable[Page]: ...


async def all_pages(fetch: Fetch, what: str, *, fresh: bool) -> Page:
    """All rows of one list.

    Raises `GatewayError` for a list that never keeps still, or never ends.
    """
    for _ in range(_MOST_BEGINNINGS):
        found = await _walked(fetch, what, fresh=fresh)
        if found is not None:
            return found
        fresh = True  # kept pages may be of the old list
    raise GatewayError(f"{what}: the list changed {_MOST_BEGINNINGS} times while it was read")


async def _walked(fetch: Fetch, what: str, *, fresh: bool) -> Page | None:
    """All pages of one list; None when it changed between two of them."""
    rows: list[dict[str, object]] = []
    first: Page | None = None
    for number in range(1, _MOST_PAGES + 1):
        page = await fetch(number, fresh=fresh)
        first = first or page
        if page.generation != first.generation:
            return None
        rows += page.rows
        if len(page.rows) < LARGEST_PAGE:
            return Page(rows, page.generation)
    raise GatewayError(f"{what}: more than {_MOST_PAGES} full pages; this list does not end")
