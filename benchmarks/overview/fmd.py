"""Flask-MonitoringDashboard's own Overview on the same requests; runs in its environment.

Called with the database of fmd-otel to copy from, and the one to make. Prints the seconds that each run took.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from contextlib import closing

from flask import Flask

COPY = """
INSERT INTO Request (endpoint_id, duration, time_requested, version_requested, group_by, ip, status_code)
SELECT e.id, r.duration / 1000.0, strftime('%Y-%m-%d %H:%M:%f', r.ts / 1000000.0, 'unixepoch') || '000',
       v.name, u.value, i.value, r.status
FROM ours.fmd_request r
JOIN ours.fmd_endpoint o ON o.id = r.endpoint_id
JOIN main.Endpoint e ON e.name = replace(o.name, '.', '_')
JOIN ours.fmd_version v ON v.id = r.version_id
LEFT JOIN ours.fmd_subject u ON u.id = r.group_id
LEFT JOIN ours.fmd_subject i ON i.id = r.ip_id
"""


def main(source: str, target: str) -> None:
    """Copy the requests, then ask for the Overview twice."""
    import flask_monitoringdashboard as dashboard  # noqa: PLC0415 - binds its database when imported

    dashboard.config.database_name = f"sqlite:///{target}"
    app = Flask("bench")
    with closing(sqlite3.connect(source)) as ours:
        names = [name for (name,) in ours.execute("SELECT name FROM fmd_endpoint ORDER BY id")]
    for number, name in enumerate(names):
        app.add_url_rule(f"/{number}", name.replace(".", "_"), lambda: "")
    dashboard.bind(app, schedule=False)
    _copy(source, target)
    client = app.test_client()
    client.post("/dashboard/login", data={"name": "admin", "password": "admin"})
    for _ in range(2):
        began = time.perf_counter()
        answer = client.get("/dashboard/api/overview")
        took_s = time.perf_counter() - began
        if answer.status_code != 200:  # noqa: PLR2004
            sys.exit(f"the Overview answered {answer.status}")
        hits = sum(row["hits-overall"] for row in answer.get_json())
        print(f"took {took_s:.3f} {hits}", flush=True)


def _copy(source: str, target: str) -> None:
    with closing(sqlite3.connect(target)) as connection, connection:
        connection.execute("ATTACH ? AS ours", (source,))
        connection.execute(COPY)


if __name__ == "__main__":
    main(*sys.argv[1:])
