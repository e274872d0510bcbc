"""``python -m demo``: what ``make demo`` runs."""

from __future__ import annotations

import signal
import sys
import threading

from demo.display import Display
from demo.options import parse
from demo.processes import DemoError
from demo.stage import run
from fmd_otel_exporter.errors import FmdOtelError


def main() -> int:
    """Run until told to stop; return the exit code."""
    options = parse()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # An event, not an exception: that could arrive anywhere, also while the programs are being stopped.
        signal.signal(number, lambda *_: stopped.set())
    with Display() as display:
        try:
            run(options, display, stopped)
        except (DemoError, FmdOtelError) as error:
            display.error(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
