"""A browser for all tests of this folder, and the dashboard of a sidecar in it."""

import contextlib
from collections.abc import Iterator
from typing import Protocol

import pytest

from tests.support.browser import Browser, Page, missing
from tests.support.sidecar import Sidecar


class OpenPage(Protocol):
    """Opens a page of a sidecar, by default its dashboard; the test's end closes it."""

    def __call__(
        self, sidecar: Sidecar, path: str = "/", *, width: int = 1280, dark: bool = False
    ) -> Page: ...


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if why := missing():
        pytest.skip(why)
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    with contextlib.ExitStack() as stack:

        def open_(
            sidecar: Sidecar, path: str = "/", *, width: int = 1280, dark: bool = False
        ) -> Page:
            url = f"http://127.0.0.1:{sidecar.port}{path}"
            page = browser.page(url, width=width, dark=dark)
            stack.callback(page.close)
            return page

        yield open_
