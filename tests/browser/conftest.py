"""A dashboard on made-up traffic, served from a thread, and a Chromium that hears all that goes wrong."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from werkzeug.security import generate_password_hash
from werkzeug.serving import WSGIRequestHandler, make_server

from fmd_otel_dash.auth import sessions, users
from fmd_otel_dash.auth.gate import COOKIE
from fmd_otel_dash.factory import Dashboard
from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer
from tests.new_databases import new_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmd_otel_exporter.store import Store

PASSWORD = "correct horse battery"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--disable-quic",
)  # fmt: skip
WIDE, NARROW = (1440, 1000), (390, 844)
PATIENCE_MS = 60_000
"""How long anything may take on a machine that is busy; what comes, comes long before."""
SETTLED = """() => {
    const all = selector => [...document.querySelectorAll('#page ' + selector)];
    const shown = selector => all(selector).filter(each => each.getClientRects().length);
    const filled = list => {
        let api;
        try { api = window.dash_ag_grid.getApi(list.id); } catch (e) { return false; } // not there yet
        const rows = [...list.querySelectorAll('.ag-center-cols-container .ag-row')];
        return api && (!api.getDisplayedRowCount() || rows.length && rows.every(row => row.textContent));
    };
    const drawn = chart => chart.querySelector('.js-plotly-plot:not(.dash-graph--pending)');
    return document.querySelector('#range-label').textContent
        && !all('[data-dash-is-loading=true], .fmd-card-body > [aria-label=Loading]').length
        && shown('.fmd-table').every(filled) && shown('.fmd-graph').every(drawn);
}"""
"""Whether all cards of a page have come, its lists have rows, and charts are drawn as wide as they stay."""
_CHEAP = generate_password_hash(PASSWORD, method="scrypt:1024:8:1")

# Endpoint, requests, median in milliseconds, share of failures.
ENDPOINTS = (
    ("shop.home", 240, 18, 0),
    ("shop.search", 160, 64, 0),
    ("cart.show", 90, 22, 0),
    ("cart.add", 60, 41, 0.05),
    ("checkout.pay", 40, 240, 0.1),
    ("account.orders", 25, 95, 0),
    ("api.a_rather_long_name_for_an_endpoint", 10, 6, 0),
)
TOTAL = sum(endpoint[1] for endpoint in ENDPOINTS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/browser/" in str(item.path):
            item.add_marker(pytest.mark.browser)


def traffic(now_us: int, *, hours: int = 20, first: int = 0) -> list[RequestRecord]:
    """Return the same requests every time, spread over the hours before now; two versions, three users."""
    records = []
    number = first
    for name, n, median_ms, failing in ENDPOINTS:
        for i in range(n):
            number += 1
            age_us = int((i + 0.5) / n * hours * 3600 * 1_000_000)
            slow = 1 + 3 * ((i * 7919) % 100) / 100
            failed = failing and (i * 31) % 100 < failing * 100
            records.append(
                RequestRecord(
                    service="shop",
                    endpoint=name,
                    ts_us=now_us - age_us,
                    span_id=number.to_bytes(8, "big"),
                    trace_id=number.to_bytes(16, "big"),
                    duration_us=int(median_ms * 1000 * slow / 2),
                    status=500 if failed else 200,
                    method="GET",
                    version="1.7.0" if age_us < hours * 1_800_000_000 else "1.6.0",
                    group_by=f"user-{i % 3}",
                    ip=f"10.0.0.{i % 5}",
                    route="/" + name.replace(".", "/"),
                    blueprint=name.partition(".")[0],
                )
            )
    return records


@dataclass
class Running:
    """A dashboard that is being served."""

    url: str
    store: Store
    dashboard: Dashboard

    def fill(self, *, days_ago: float = 0, first: int = 0) -> None:
        """Write the traffic."""
        now_us = time.time_ns() // 1000 - int(days_ago * 86_400_000_000)
        Writer(self.store).write(traffic(now_us, first=first))
        self.dashboard.services.cache.clear()


@dataclass
class Watched:
    """A page, and everything it should not have done."""

    page: Page
    running: Running
    troubles: list[str] = field(default_factory=list)
    _under_way: set[Any] = field(default_factory=set)
    _last_began: float = 0.0

    @property
    def base(self) -> str:
        """Address of the server."""
        return self.running.url

    def listen(self) -> None:
        """Begin to note errors, refusals and requests to other hosts."""
        page = self.page
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.troubles.append(f"error: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.troubles.append(f"console {kind}: {text}")

    def _asked(self, request: Any) -> None:
        self._under_way.add(request)
        self._last_began = time.monotonic()
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.troubles.append(f"another host: {request.url}")

    def _ended(self, request: Any) -> None:
        self._under_way.discard(request)

    def _answered(self, response: Any) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")

    def sign_in(self, name: str = "ada", to: str = "/overview") -> None:
        """Be signed in and on a page, without the form."""
        store = self.running.store
        with store.write() as connection:
            found = users.find(connection, store.tables, name)
            assert found
            token = sessions.start(connection, store.tables, found.user.id)
        cookie = {"name": COOKIE, "value": token, "domain": "127.0.0.1", "path": "/dashboard"}
        self.page.context.add_cookies([cookie])
        self.open(to)

    def open(self, path: str) -> Page:
        """Open a page of the dashboard and wait until nothing is being loaded."""
        self.page.goto(f"{self.base}/dashboard{path}")
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until a page is there, all of its cards have arrived, and their lists and charts are drawn."""
        self.page.wait_for_selector("#page .fmd-page")
        self.page.wait_for_function(SETTLED)

    def fits(self) -> None:
        """Wait until nothing sticks out of the window: charts take a moment to be as wide as their place."""
        self.page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")

    def quiet(self, for_s: float = 0.1) -> None:
        """Let what is under way finish, so that its troubles are heard.

        The browser's own ``networkidle`` is a moment after a page was loaded, and past ever after.

        Args:
            for_s: How long nothing has to be asked; more than the pause of a poll tells that it rests.

        Raises:
            AssertionError: Requests went on for half a minute.
        """
        end = time.monotonic() + 30
        while time.monotonic() < end:
            self.page.wait_for_timeout(50)
            if not self._under_way and time.monotonic() - self._last_began >= for_s:
                return
        raise AssertionError([request.url for request in self._under_way] or "asked again and again")


class Stage:
    """One server for all tests, so that files stay in the cache; what it serves changes with each test."""

    def __init__(self) -> None:
        self.wsgi: Any = None
        # The port goes into the address of every file; the same one each time keeps them known.
        self.server = make_server("127.0.0.1", 0, self._dispatch, threaded=True, request_handler=Silent)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self._thread = threading.Thread(
            target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def _dispatch(self, environ: Any, start_response: Any) -> Any:
        return self.wsgi(environ, start_response)

    def close(self) -> None:
        """Stop serving."""
        self.server.shutdown()
        self._thread.join(10)
        self.server.server_close()


class Silent(WSGIRequestHandler):
    """Logs nothing: a browser asks for much."""

    def log(self, *_args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


@pytest.fixture(scope="session")
def context(chromium: str) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        made = opened.new_context(timezone_id="Europe/Amsterdam", locale="en-GB")
        made.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        yield made
        opened.close()


def add_users(store: Store) -> None:
    """Add the users ada (admin) and bob (guest), where they are not there already."""
    with store.write() as connection:
        for name, role in (("ada", "admin"), ("bob", "guest")):
            if users.find(connection, store.tables, name) is None:
                users.add(connection, store.tables, name, _CHEAP, role)


@pytest.fixture
def serve(tmp_path: Any, stage: Stage) -> Iterator[Callable[..., Running]]:
    """Return a function that serves a dashboard with the users ada (admin) and bob (guest)."""
    stores: list[Store] = []

    def start(**settings: Any) -> Running:
        store = new_store(tmp_path / f"{len(stores)}.db")
        stores.append(store)
        add_users(store)
        dashboard = Dashboard(Services(DashboardSettings(database=store.url, **settings), store=store))
        stage.wsgi = dashboard.wsgi
        return Running(stage.url, store, dashboard)

    yield start
    for store in stores:
        store.dispose()


@pytest.fixture
def look(context: BrowserContext) -> Iterator[Callable[..., Watched]]:
    """Return a function that opens a window of nobody's; troubles it hears fail the test at its end."""
    watched: list[Watched] = []

    def open_window(running: Running, size: tuple[int, int] = WIDE, *, dark: bool = False) -> Watched:
        page = context.new_page()
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.emulate_media(color_scheme="dark" if dark else "light")
        window = Watched(page, running)
        window.listen()
        watched.append(window)
        return window

    yield open_window
    for window in watched:
        window.quiet()
        if window.page.url.startswith("http"):
            window.page.evaluate("localStorage.clear()")
        window.page.close()
    context.clear_cookies()
    assert [trouble for window in watched for trouble in window.troubles] == []
