"""The application that is measured: three views, watched in different ways.

It also runs in the environment of Flask-MonitoringDashboard, where nothing of ours is installed: all but
Flask is imported by the variant that needs it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import TYPE_CHECKING, Any

from flask import Flask, g

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

DRAIN_PATH = "/-/drain"
SWITCH_PATH = "/-/switch/"
LABELS = {
    "bare": "bare Flask",
    "level-0": "fmd-otel, level 0",
    "level-1": "fmd-otel, level 1",
    "level-2": "fmd-otel, level 2",
    "level-3": "fmd-otel, level 3",
    "level-3-all": "level 3, PROFILE_RATE=0: all requests",
    "level-3-unstored": "the same, profiles thrown away",
    "pyinstrument": "pyinstrument for each request",
    "fmd-bare": "bare Flask (FMD's environment)",
    "fmd-1": "Flask-MonitoringDashboard 5.1.0, level 1",
    "fmd-3": "Flask-MonitoringDashboard 5.1.0, level 3",
}


def process_of(variant: str) -> str:
    """Return which process serves a variant: all levels share one, and are switched between in it."""
    return "level" if variant.startswith("level-") else variant


WAIT_S = 0.2
LINGER_S = 1.3
"""The sampler stays awake for so long after the last request that it was to look at."""


def application() -> Callable[..., Iterable[bytes]]:
    """Return what gunicorn serves: the variant, and a path beside it that answers once all work is done."""
    app = Flask("bench")
    rounds = int(os.environ["BENCH_ROUNDS"])
    app.add_url_rule("/hello", "hello", lambda: "Hello\n")
    app.add_url_rule("/cpu", "cpu", lambda: compute(rounds))
    app.add_url_rule("/wait", "wait", wait)
    drain, switch = watch(app, os.environ["BENCH_VARIANT"], os.environ["BENCH_FOLDER"])

    def serve(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if not path.startswith("/-/"):
            return app(environ, start_response)
        body = json.dumps(drain() if path == DRAIN_PATH else switch(path.removeprefix(SWITCH_PATH))).encode()
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return serve


def compute(rounds: int) -> str:
    """Compute as much as it takes: calls, loops and builtins, as views do."""
    total = 0
    for number in range(rounds):
        total += _some(number) + _more(number)
    return f"{total}\n"


def _some(number: int) -> int:
    return sum(each * each for each in range(number % 20))


def _more(number: int) -> int:
    return len(_text(number).split(","))


def _text(number: int) -> str:
    return ",".join(str(each) for each in range(number % 10))


def wait() -> str:
    """Wait in a few places, as for queries, and compute a little between them."""
    for _ in range(4):
        _query()
        compute(40)
    return "waited\n"


def _query() -> None:
    time.sleep(WAIT_S / 4)


Control = tuple["Callable[[], dict[str, int]]", "Callable[[str], None]"]
"""What waits until all work that requests left is done, and what switches to a variant."""


def watch(app: Flask, process: str, folder: str) -> Control:
    """Watch the application in some way."""
    if process in {"bare", "fmd-bare"}:
        return dict, _nothing
    if process == "pyinstrument":
        return _pyinstrument(app)
    if process.startswith("fmd-"):
        return _fmd(app, f"{folder}/{process}.db", int(process[-1]))
    return _fmd_otel(app, f"{folder}/{process}.db")


def _nothing(_variant: str) -> None:
    return None


def _fmd_otel(app: Flask, database: str) -> Control:
    import fmd_otel  # noqa: PLC0415

    handle: Any = fmd_otel.instrument(
        app, database=f"sqlite:///{database}", app_version="1.0", include_dashboard=False, monitor_level=2
    )  # so that the averages are read, which outliers are found by
    pipeline, level = handle.monitor.pipeline, [1]
    pipeline.level_of = lambda *_names: level[0]
    pipeline.highest_level = lambda: level[0]
    offer_detail = pipeline.offer_detail
    profiler = next(each for each in handle.monitor.watch._watchers if each.name == "profiler")  # noqa: SLF001 # switched
    rate = profiler._rate  # noqa: SLF001 # the same

    def drain() -> dict[str, int]:
        handle.force_flush(60_000)
        return {"failures": sum(handle.failures.values()), "threads": threading.active_count()}

    def switch(variant: str) -> None:
        level[0] = int(variant.split("-")[1])
        profiler._rate = 0 if variant.endswith(("all", "unstored")) else rate  # noqa: SLF001 # the same
        profiler._admissions.clear()  # noqa: SLF001 # the same
        for endpoint in ("hello", "cpu", "wait"):
            profiler._admission(endpoint)._left = 0  # noqa: SLF001 # what is saved up is soon spent under load
        if not profiler._rate:  # noqa: SLF001 # the same
            profiler._admissions.clear()  # noqa: SLF001 # the same
        pipeline.offer_detail = _nothing if variant.endswith("unstored") else offer_detail
        # What the variant before has kept awake must not be counted among what this one costs.
        time.sleep(LINGER_S)

    return drain, switch


def _pyinstrument(app: Flask) -> Control:
    from pyinstrument import Profiler  # noqa: PLC0415

    @app.before_request
    def begin() -> None:
        g.profiler = Profiler(interval=0.01)
        g.profiler.start()

    @app.teardown_request
    def end(_error: BaseException | None) -> None:
        g.profiler.stop()

    return dict, _nothing


def _fmd(app: Flask, database: str, level: int) -> Control:
    import flask_monitoringdashboard as dashboard  # noqa: PLC0415

    dashboard.config.database_name = f"sqlite:///{database}"
    dashboard.config.monitor_level = level
    dashboard.bind(app)

    def drain() -> dict[str, int]:
        # It starts a thread or two for every request, which write its rows.
        while any(
            type(each).__module__.startswith("flask_monitoringdashboard") for each in threading.enumerate()
        ):
            time.sleep(0.01)
        return {"threads": threading.active_count()}

    return drain, _nothing
