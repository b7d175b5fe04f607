"""A real browser, driven from tests that block: Debian's Chromium by Playwright.

Playwright's own loop runs in a thread, so that tests with and without a loop may follow each other.
Everything that a page asked for or complained of is kept.
"""

import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tests.support.loop_thread import LoopThread
from tests.support.messages import post
from tests.support.sidecar import Sidecar

if TYPE_CHECKING:  # the tests are skipped where it is not installed
    from playwright.async_api import Browser as Chromium
    from playwright.async_api import Page as ChromiumPage

T = TypeVar("T")

CHROMIUM: Final = Path("/usr/bin/chromium")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_S: Final = 60.0
SHOWN_WITHIN_S: Final = 10.0  # what is promised within a second, on a busy machine
# Told by the browser itself, not by the page: an answer that never came, or was an error.
OF_THE_NETWORK: Final = ("Failed to load resource", "net::ERR_")


class Browser:
    """One process, for all tests; each page has storage and cache of its own."""

    def __init__(self) -> None:
        self._thread = LoopThread()
        self._stack = contextlib.AsyncExitStack()
        self._chromium = self.run(self._stack.enter_async_context(_launched()))

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self._thread.run(coroutine, timeout_s=PATIENCE_S)

    def page(self, url: str, *, width: int = 1280, dark: bool = False) -> "Page":
        """A page that has been opened and has loaded."""
        return self.run(self._open(url, width, dark=dark))

    async def _open(self, url: str, width: int, *, dark: bool) -> "Page":
        chromium_page = await self._chromium.new_page(
            viewport={"width": width, "height": 800},
            color_scheme="dark" if dark else "light",
        )
        page = Page(self, chromium_page)
        await chromium_page.goto(url, wait_until="load")
        return page

    def close(self) -> None:
        self.run(self._stack.aclose())
        self._thread.close()


class Page:
    """One page: what it shows, what is done to it, and what it asked for.

    Made on Playwright's loop: to listen to a page is to talk to the browser.
    """

    def __init__(self, browser: Browser, page: "ChromiumPage") -> None:
        self._run = browser.run
        self._page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda said: self._complained(said.type, said.text))

    def _complained(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.complaints.append(text)

    @property
    def own_complaints(self) -> list[str]:
        """Without what the browser says of a network that fails."""
        return [each for each in self.complaints if not any(x in each for x in OF_THE_NETWORK)]

    def ask(self, script: str, about: object = None) -> Any:
        """What an expression, or a function of `about`, comes to in the page."""
        return self._run(self._page.evaluate(script, about))

    def shows(self, selector: str, *words: str, within_s: float = SHOWN_WITHIN_S) -> bool:
        """Is there, sooner or later, a visible element that has all of these words?"""
        return bool(self.ask(SHOWS, [selector, words, within_s * 1000]))

    def texts(self, selector: str) -> list[str]:
        """What each visible element says."""
        found: list[str] = self.ask(TEXTS, selector)
        return found

    def count(self, selector: str) -> int:
        return len(self.texts(selector))

    def click(self, selector: str) -> None:
        self._run(self._page.click(selector))

    def fill(self, selector: str, text: str) -> None:
        self._run(self._page.fill(selector, text))

    def choose(self, selector: str, value: str) -> None:
        self._run(self._page.select_option(selector, value))

    def press(self, *keys: str) -> None:
        for key in keys:
            self._run(self._page.keyboard.press(key))

    def leave(self) -> None:
        """For a page with nothing on it."""
        self._run(self._page.goto("about:blank"))

    def close(self) -> None:
        self._run(self._page.close())


TEXTS: Final = """(selector) => [...document.querySelectorAll(selector)]
  .filter((each) => each.checkVisibility())
  .map((each) => each.innerText)"""
SHOWS: Final = """async ([selector, words, patience]) => {
  const says = (each) => words.every((word) => each.innerText.includes(word));
  const shown = (each) => each.checkVisibility() && says(each);
  const ends = performance.now() + patience;
  while (![...document.querySelectorAll(selector)].some(shown)) {
    if (performance.now() > ends) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}"""


def call_often(sidecar: Sidecar, path: str, times: int) -> None:
    """One call after the other, on one connection."""
    with sidecar.caller() as caller:
        for _ in range(times):
            caller.send_as_far_as_it_goes(post(path))
            assert caller.answer("POST").status == 200


def missing() -> str:
    """Why there is no browser; empty when there is one."""
    if not CHROMIUM.exists():
        return f"no {CHROMIUM}"
    try:
        import playwright.async_api  # noqa: F401, PLC0415 - asked for, not used
    except ImportError:
        return "playwright is not installed"
    return ""


@contextlib.asynccontextmanager
async def _launched() -> AsyncIterator["Chromium"]:
    from playwright.async_api import async_playwright  # noqa: PLC0415 - only where it is installed

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield chromium
        await chromium.close()
