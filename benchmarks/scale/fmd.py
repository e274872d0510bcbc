"""Flask-MonitoringDashboard's own storage code on the same requests; runs in its environment.

Called with the database of fmd-otel to copy from, the one to make, and how many requests to write one by one.
Prints what it measured as JSON.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from flask import Flask

from benchmarks.overview.fmd import COPY


def main(source: str, target: str, rows: str) -> None:
    """Write requests through FMD's own code, copy the rest, and ask for its Overview."""
    import flask_monitoringdashboard as dashboard  # noqa: PLC0415 - binds its database when imported

    dashboard.config.database_name = f"sqlite:///{target}"
    app = Flask("bench")
    with closing(sqlite3.connect(source)) as ours:
        names = [name for (name,) in ours.execute("SELECT name FROM fmd_endpoint ORDER BY id")]
    for number, name in enumerate(names):
        app.add_url_rule(f"/{number}", name.replace(".", "_"), lambda: "")
    dashboard.bind(app, schedule=False)
    found: dict[str, Any] = {"write": _write(source, int(rows))}
    with closing(sqlite3.connect(target)) as connection, connection:
        connection.execute("DELETE FROM Request")
        connection.execute("ATTACH ? AS ours", (source,))
        copied = connection.execute(COPY).rowcount
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("VACUUM")
    found["copied"] = copied
    found["bytes"] = Path(target).stat().st_size / copied
    client = app.test_client()
    client.post("/dashboard/login", data={"name": "admin", "password": "admin"})
    found["overview_s"] = []
    for _ in range(2):
        began = time.perf_counter()
        answer = client.get("/dashboard/api/overview")
        found["overview_s"].append(time.perf_counter() - began)
        if answer.status_code != 200:  # noqa: PLR2004
            sys.exit(f"the Overview answered {answer.status}")
    print(f"\n{json.dumps(found)}")


def _write(source: str, rows: int) -> dict[str, float]:
    from flask_monitoringdashboard.database import session_scope  # noqa: PLC0415 - as above
    from flask_monitoringdashboard.database.request import add_request  # noqa: PLC0415

    with closing(sqlite3.connect(source)) as ours:
        made = ours.execute(
            "SELECT duration / 1000.0, endpoint_id, i.value, u.value, status FROM fmd_request r "
            "LEFT JOIN fmd_subject u ON u.id = r.group_id LEFT JOIN fmd_subject i ON i.id = r.ip_id LIMIT ?",
            (rows,),
        ).fetchall()
    began, cpu = time.perf_counter(), time.process_time()
    for duration, endpoint, ip, user, status in made:
        with session_scope() as session:  # as FMD does for each request, in a thread of its own
            add_request(session, duration, endpoint, ip, user, status)
    return {
        "rows": rows,
        "cpu_us": (time.process_time() - cpu) / rows * 1e6,
        "wall_us": (time.perf_counter() - began) / rows * 1e6,
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
