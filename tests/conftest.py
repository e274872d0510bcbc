"""What all tests share: how a test asks for what a machine may lack, and how loudly that is said.

A test that needs a browser or a database server takes the fixture for it, or calls ``pytest.skip`` with the
remedy. Where ``REQUIRE_ALL_TESTS`` is set, as in continuous integration, every skip is a failure: nothing
goes untested unnoticed.
"""

from __future__ import annotations

import os
import shutil
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from fmd_otel.handle import Handle
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.span_exporter import FmdSpanExporter

if TYPE_CHECKING:
    from collections.abc import Generator

# How long an example takes says more of what else a machine does than of what is tested.
settings.register_profile(
    "patient", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("patient")


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep spools of servers' databases out of the home of whoever runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let flushes that have to succeed wait for a busy machine, longer than an application would."""
    monkeypatch.setattr("fmd_otel_exporter.pipeline.STALL_MS", 30_000)
    for each in (Pipeline, Handle, FmdSpanExporter):
        monkeypatch.setattr(each.force_flush, "__defaults__", (60_000,))


BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of a Chromium, for Playwright's ``executable_path``."""
    for name in BROWSERS:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(
        "needs Chromium. The remedy, as root: make setup (or apt-get install chromium fonts-liberation)"
    )


def pytest_configure() -> None:
    """Let Ctrl-C end what tests start, also where they run behind a shell's ``&``, which has it ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what drives a browser last.

    Playwright's synchronous interface leaves an event loop running in the thread of the tests until the
    browser is closed; asynchronous views and Dash's callbacks refuse to run in such a thread.
    """
    items.sort(key=lambda item: "chromium" in getattr(item, "fixturenames", ()))


def _nothing_may_be_skipped() -> bool:
    return os.environ.get("REQUIRE_ALL_TESTS", "").lower() not in {"", "0", "false"}


def _as_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where all that tests need has to be there; an expected failure stays one."""
    if report.skipped and not hasattr(report, "wasxfail") and _nothing_may_be_skipped():
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"REQUIRE_ALL_TESTS is set, but this was skipped. {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _as_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _as_failure(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section(f"NOT TESTED: {len(skipped)} skipped", sep="!", red=True, bold=True)
    reasons = {report.longrepr[2] for report in skipped if isinstance(report.longrepr, tuple)}
    for reason in sorted(reasons):
        terminalreporter.line(reason.removeprefix("Skipped: "), red=True)
