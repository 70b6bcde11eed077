"""Takes the pictures of `docs/images/` with Chromium. `make screenshots` calls this, in an environment of its own.

Reads one JSON object from stdin: `folder`, `pictures` (their names), `console`, `user`, `password`, `api`. Prints
which hosts were asked for something, and ends with 1 where one of them is not this machine.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",  # there is none for root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT = 1240, 900
THIS_MACHINE = "127.0.0.1"
PAUSE_MS = 6_000  # the console draws anew every 5 s


class Picture(NamedTuple):
    """One page of the console."""

    path: str
    title: str
    prepare: Callable[[Page], None] = lambda page: None


def open_sections(*titles: str) -> Callable[[Page], None]:
    """Sections that the console shows closed are opened, and others closed."""

    def prepare(page: Page) -> None:
        for heading in page.locator("div.section h2, div.section-hidden h2").all():
            title = (heading.text_content() or "").strip()
            is_open = heading.locator("xpath=following-sibling::div[1]").is_visible()
            if is_open != title.startswith(titles):
                heading.click()

    return prepare


QUEUES = Picture("#/queues", "Queues")
DELIVERIES = Picture("#/queues/%2F/deliveries", "Queue deliveries", open_sections("Overview", "Consumers"))
CONSOLE = {
    "queues": QUEUES,
    "queue-deliveries": DELIVERIES,
    "connections": Picture("#/connections", "Connections"),
    "burst": DELIVERIES,
    "outage-receivers": QUEUES,
    "outage-senders": DELIVERIES,
}
SWAGGER = "swagger"
"""The one picture that is not of the console."""


def main() -> int:
    """Take all pictures; the exit code."""
    wanted = json.load(sys.stdin)
    asked: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        if SWAGGER in wanted["pictures"]:
            _swagger(_new_page(browser, asked), wanted)
        else:
            _console(_new_page(browser, asked), wanted)
        browser.close()
    print(f"{', '.join(wanted['pictures'])}: asked {', '.join(sorted(asked))} and no other host", flush=True)
    return 0 if asked == {THIS_MACHINE} else 1


def _new_page(browser: Browser, asked: set[str]) -> Page:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about"):
            asked.add(parts.hostname or url)

    page.on("request", lambda request: note(request.url))
    page.on("websocket", lambda websocket: note(websocket.url))
    return page


def _console(page: Page, wanted: dict[str, Any]) -> None:
    page.goto(wanted["console"])
    page.fill("input[name=username]", wanted["user"])
    page.fill("input[name=password]", wanted["password"])
    page.click("input[type=submit]")
    page.wait_for_selector("#logout")
    for name in wanted["pictures"]:
        picture = CONSOLE[name]
        page.goto(f"{wanted['console']}/{picture.path}")
        page.locator("#main h1", has_text=picture.title).wait_for()
        picture.prepare(page)
        page.wait_for_timeout(PAUSE_MS)
        _take(page, Path(wanted["folder"]) / f"{name}.png")


def _swagger(page: Page, wanted: dict[str, Any]) -> None:
    page.goto(f"{wanted['api']}/api/docs")
    page.wait_for_selector(".opblock")
    page.wait_for_load_state("networkidle")
    page.screenshot(path=Path(wanted["folder"]) / f"{SWAGGER}.png")


def _take(page: Page, path: Path) -> None:
    """What the page holds, without the empty rest of the window."""
    bottom = page.evaluate("document.querySelector('#main').getBoundingClientRect().bottom + window.scrollY")
    page.set_viewport_size({"width": WIDTH, "height": int(bottom) + 20})  # its head stays where it is on scrolling
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path)


if __name__ == "__main__":
    sys.exit(main())
