"""Takes the pictures of `docs/images/` with Chromium. `make screenshots` calls this, in an environment of its own.

Reads one JSON object from stdin: `folder`, `console`, `user`, `password`, `api`. Prints whatever was asked of
another host than this one, and then ends with 1.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
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
PAUSE_MS = 6_000  # the console draws anew every 5 s


class Picture(NamedTuple):
    """One page of the console."""

    name: str
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


PICTURES = (
    Picture("queues", "#/queues", "Queues"),
    Picture(
        "queue-deliveries", "#/queues/%2F/deliveries", "Queue deliveries", open_sections("Overview", "Consumers")
    ),
    Picture("connections", "#/connections", "Connections"),
)


def main() -> int:
    """Take all pictures; the exit code."""
    wanted = json.load(sys.stdin)
    strangers: set[str] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        _console(_new_page(browser, strangers), wanted)
        _swagger(_new_page(browser, strangers), wanted["api"])
        browser.close()
    for url in sorted(strangers):
        print(f"Another host was asked: {url}", file=sys.stderr)
    if not strangers:
        print("Neither the console nor Swagger UI asked another host for anything.")
    return 1 if strangers else 0


def _new_page(browser: Browser, strangers: set[str]) -> Page:
    page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})

    def note(url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "about") and parts.hostname != "127.0.0.1":
            strangers.add(url)

    page.on("request", lambda request: note(request.url))
    page.on("websocket", lambda websocket: note(websocket.url))
    return page


def _console(page: Page, wanted: dict[str, str]) -> None:
    page.goto(wanted["console"])
    page.fill("input[name=username]", wanted["user"])
    page.fill("input[name=password]", wanted["password"])
    page.click("input[type=submit]")
    page.wait_for_selector("#logout")
    for picture in PICTURES:
        page.goto(f"{wanted['console']}/{picture.path}")
        page.locator("#main h1", has_text=picture.title).wait_for()
        picture.prepare(page)
        page.wait_for_timeout(PAUSE_MS)
        _take(page, Path(wanted["folder"]) / f"{picture.name}.png")


def _swagger(page: Page, api: str) -> None:
    page.goto(f"{api}/api/docs")
    page.wait_for_selector(".opblock")
    page.wait_for_load_state("networkidle")


def _take(page: Page, path: Path) -> None:
    """What the page holds, without the empty rest of the window."""
    bottom = page.evaluate("document.querySelector('#main').getBoundingClientRect().bottom + window.scrollY")
    page.set_viewport_size({"width": WIDTH, "height": int(bottom) + 20})  # its head stays where it is on scrolling
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=path)


if __name__ == "__main__":
    sys.exit(main())
