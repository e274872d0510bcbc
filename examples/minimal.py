"""The smallest monitored application: two lines, and a dashboard at /dashboard.

    pip install 'fmd-otel[dashboard]'
    flask --app examples/minimal.py run

Open http://127.0.0.1:5000/ a few times, then http://127.0.0.1:5000/dashboard/ by the link that the log shows
at the first visit; FMD_OTEL_USERNAME and FMD_OTEL_PASSWORD choose a user beforehand.
"""

from __future__ import annotations

from flask import Flask

import fmd_otel

app = Flask(__name__)
fmd_otel.instrument(app)


@app.route("/")
def index() -> str:
    """Answer."""
    return "Hello, world"


if __name__ == "__main__":
    app.run()
