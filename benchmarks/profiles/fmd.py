"""Flask-MonitoringDashboard's own code writes the same profiles; runs in its environment.

Called with a file of trees and the database to make. Prints CPU microseconds, bytes and rows of a profile.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from flask import Flask


def main(source: str, target: str) -> None:
    """Write each tree in a transaction of its own, as its profiler thread does when a request ends."""
    import flask_monitoringdashboard as dashboard  # noqa: PLC0415 - binds its database when imported

    dashboard.config.database_name = f"sqlite:///{target}"
    app = Flask("bench")
    app.add_url_rule("/", "checkout", lambda: "")
    dashboard.bind(app, schedule=False)
    from flask_monitoringdashboard.database import session_scope  # noqa: PLC0415 - only once it is bound
    from flask_monitoringdashboard.database.endpoint import get_endpoint_by_name  # noqa: PLC0415
    from flask_monitoringdashboard.database.request import add_request  # noqa: PLC0415
    from flask_monitoringdashboard.database.stack_line import add_stack_line  # noqa: PLC0415

    trees = json.loads(Path(source).read_text())
    with session_scope() as session:
        endpoint = get_endpoint_by_name(session, "checkout").id

    def write(tree: list[Any]) -> None:
        with session_scope() as session:
            request = add_request(
                session, duration=150.0, endpoint_id=endpoint, ip="10.0.0.1", status_code=200, group_by=None
            )
            for position, (indent, duration, (file, function, line, text)) in enumerate(tree):
                add_stack_line(
                    session,
                    request,
                    position=position,
                    indent=indent,
                    duration=duration,
                    code_line=(file, line, function, text),
                )

    first, rest = trees[:20], trees[20:]
    for tree in first:
        write(tree)
    empty = Path(target).stat().st_size
    began = time.process_time()
    for tree in rest:
        write(tree)
    took = time.process_time() - began
    size = Path(target).stat().st_size - empty
    rows = sum(map(len, rest)) / len(rest)
    print(took * 1e6 / len(rest), size / len(rest), rows, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
