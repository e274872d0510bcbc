"""The run itself: what is started when, and how it all ends."""

from __future__ import annotations

import fcntl
import secrets
import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from demo.backfill import Past
from demo.processes import DemoError, Program, answers, base_url, free_port
from demo.shopserver import EXAMPLES, ShopServer
from demo.visitors import LOST, Traffic
from demo.workload import CURRENT, NEXT
from fmd_otel_exporter.store import open_store

if TYPE_CHECKING:
    from collections.abc import Iterator
    from threading import Event

    from demo.display import Display
    from demo.options import Options

USERNAME = "demo"
_START_TIMEOUT_S = 60
_TICK_S = 0.5
_OWN_FILES = ("monitoring.db*", "shop.db*", "*.log")


def run(options: Options, display: Display, stopped: Event) -> None:
    """Run the demo until ``stopped``; whatever happens, nothing is left running.

    Raises:
        DemoError: It cannot go on.
    """
    began = time.monotonic()
    with ExitStack() as ending:
        ending.enter_context(sole_use_of(options.folder))
        database = f"sqlite:///{options.folder / 'monitoring.db'}"
        store = open_store(database)
        ending.callback(store.dispose)

        display.step("Starting the dashboard")
        password = secrets.token_urlsafe(9)
        port = free_port(options.host, options.dashboard_port)
        address = f"{base_url(options.host, port)}/dashboard/"
        dashboard = _start_dashboard(options, database, password, port)
        ending.callback(dashboard.stop)

        shop = None
        if options.live:
            display.step("Starting the shop under gunicorn, 2 workers")
            shop = ShopServer(options.host, options.shop_port, folder=options.folder, database=database)
            ending.callback(shop.close)
            shop.start(CURRENT)

        past = Past(store, options, display)
        ending.callback(past.stop)
        past.start()

        if shop is not None:
            shop.wait(stopped)
        dashboard.wait_until(answers(address), timeout_s=_START_TIMEOUT_S, stopped=stopped)
        past.wait_for_newest_day(stopped)
        if stopped.is_set():
            return
        display.box(
            f"ready after {time.monotonic() - began:.1f} s",
            _welcome(address, password, shop.url if shop else None),
        )
        _watch(options, display, stopped, _Running(dashboard, past, shop))
        display.step("Stopping everything")
    display.step(f"Stopped. Data and logs are in {options.folder}, until the next run.")


@contextmanager
def sole_use_of(folder: Path) -> Iterator[None]:
    """Empty the folder of what earlier runs left, and keep another run out meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise DemoError(
            f"{folder} cannot be used: {error.strerror}. Name another place with --folder."
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoError(
                f"Another demo runs in {folder}. Stop it, or name another place with --folder."
            ) from None
        for pattern in _OWN_FILES:
            for left_over in folder.glob(pattern):
                if left_over.is_dir():  # the spool, where requests wait for the database
                    shutil.rmtree(left_over)
                else:
                    left_over.unlink()
        yield


def _start_dashboard(options: Options, database: str, password: str, port: int) -> Program:
    return Program(
        "dashboard",
        [
            *(str(Path(sys.executable).with_name("fmd-otel")), "dashboard", "--database", database),
            *("--host", options.host, "--port", str(port)),
        ],
        log=options.folder / "dashboard.log",
        folder=EXAMPLES,
        # By environment: a command line can be read by everybody on the machine.
        environment={"FMD_OTEL_USERNAME": USERNAME, "FMD_OTEL_PASSWORD": password},
    )


def _welcome(address: str, password: str, shop_url: str | None) -> str:
    lines = [
        f"[bold]Dashboard[/bold]  [link={address}]{address}[/link]",
        f"User       {USERNAME}",
        f"Password   {password}",
    ]
    if shop_url is not None:
        lines += ["", f"The shop   [link={shop_url}]{shop_url}[/link]"]
    return "\n".join([*lines, "", "Ctrl-C stops everything."])


class _Running(NamedTuple):
    dashboard: Program
    past: Past
    shop: ShopServer | None


def _watch(options: Options, display: Display, stopped: Event, running: _Running) -> None:
    """Keep the visitors coming, deploy once, and notice what breaks."""
    began = time.monotonic()
    shop = running.shop
    deploying = False
    traffic = Traffic(shop.url, rate=options.rate, seed=options.seed) if shop else None
    try:
        if traffic is not None:
            traffic.start()
        while not stopped.wait(_TICK_S):
            elapsed_s = time.monotonic() - began
            if options.stop_after is not None and elapsed_s >= options.stop_after:
                return
            running.dashboard.check()
            running.past.check()
            if shop is None or traffic is None:
                continue
            shop.check()
            display.status(_state(traffic, elapsed_s, shop.version))
            if not deploying and elapsed_s >= options.deploy_after:
                display.step(f"Deploying release {NEXT} beside {CURRENT}")
                shop.start(NEXT)
                deploying = True
            if shop.version == CURRENT and deploying and shop.taken_over():
                display.step(f"Release {NEXT} has taken over")
    finally:
        if traffic is not None:
            traffic.stop()


def _state(traffic: Traffic, elapsed_s: float, version: str) -> str:
    counts = traffic.answers()
    total = counts.total()
    failed = sum(n for status, n in counts.items() if isinstance(status, int) and status >= 500)  # noqa: PLR2004
    state = f"Live: {total:,} requests, {total / elapsed_s:.1f}/s, {failed} failed, release {version}"
    return f"{state}, {counts[LOST]} lost" if counts[LOST] else state
