"""Chromium follows the live feed: with its own EventSource, and with the example of the API's documentation."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.end_to_end.browser.desk import PASSWORD, PATIENT_MS, log_in
from tests.end_to_end.feed_server import FeedServer, feed_server, installed_event_source
from tests.end_to_end.system import data_folder, manage

MAKE_OPERATOR = f"""
from django.contrib.auth.models import User
User.objects.create_superuser("operator", password={PASSWORD!r})
"""
NATIVE = """
() => {
  window.received = [];
  const source = new EventSource("/api/signals/stream");
  source.addEventListener("signal", (event) => window.received.push(JSON.parse(event.data).signal_id.at(-1)));
  return new Promise((resolve) => source.addEventListener("open", () => resolve(true), { once: true }));
}
"""
RECEIVED = """
(count) => new Promise((resolve) => {
  const look = () => (window.received.length < count ? setTimeout(look, 50) : resolve(window.received));
  look();
})
"""
PAGE = """<!doctype html>
<script type="importmap">{"imports": {
  "eventsource": "/node_modules/eventsource/dist/index.js",
  "eventsource-parser": "/node_modules/eventsource-parser/dist/index.js"
}}</script>
<script>
const getToken = async () => "TOKEN";
window.received = [];
console.log = (id, signal) => window.received.push(signal.signal_id.at(-1));
</script>
<script type="module">
EXAMPLE
source.addEventListener("open", () => { window.opened = true; });
</script>
"""


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[str]:
    """The origin of another web server, which serves ``tmp_path``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(QuietHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server(pages: str) -> Iterator[FeedServer]:
    with data_folder() as folder, feed_server(folder, CORS_ALLOWED_ORIGINS=pages) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: FeedServer) -> Iterator[Page]:
    with browser.new_context(base_url=server.root) as context:
        context.set_default_timeout(PATIENT_MS)
        yield context.new_page()


def received(page: Page, count: int) -> list[str]:
    """The signals that the page has, once there are so many. (The CSP of the admin forbids ``wait_for_function``.)"""
    numbers: list[str] = page.evaluate(RECEIVED, count)
    return numbers


def test_the_browsers_own_event_source_with_the_session_of_the_admin(page: Page, server: FeedServer) -> None:
    manage(server.environment, "shell", "--no-imports", "-c", MAKE_OPERATOR)
    log_in(page, "operator", PASSWORD)
    assert page.evaluate(NATIVE)
    server.publish(1)
    assert received(page, 1) == ["1"]
    server.publish_while_stopped(2)
    assert received(page, 2) == ["1", "2"]


def example_of(server: FeedServer) -> str:
    """The JavaScript in the description of the feed's operation, which /api/docs shows."""
    schema = httpx.get(f"{server.root}/api/schema", headers={"Accept": "application/json"}, timeout=30).json()
    description: str = schema["paths"]["/api/signals/stream"]["get"]["description"]
    return description.partition("```js\n")[2].partition("```")[0]


def test_the_example_of_the_documentation_on_a_page_of_another_origin(
    page: Page, server: FeedServer, pages: str, tmp_path: Path
) -> None:
    installed_event_source(tmp_path)
    example = example_of(server).replace("/api/signals/stream?symbol=EURUSD%3DX", server.url)
    (tmp_path / "index.html").write_text(PAGE.replace("TOKEN", server.token).replace("EXAMPLE", example))
    page.goto(f"{pages}/")
    page.wait_for_function("window.opened")
    server.publish(1)
    assert received(page, 1) == ["1"]
    server.publish_while_stopped(2)
    assert received(page, 2) == ["1", "2"]
