"""An application that is slow in known places."""

from __future__ import annotations

import asyncio
import time

from flask import Flask, Response

import fmd_otel

app = Flask("profiled")


def compute() -> None:
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        sum(range(100))


def rest() -> None:
    time.sleep(0.1)


@app.route("/slow")
def slow() -> str:
    compute()
    rest()
    return "slow"


@app.route("/async")
async def asynchronous() -> str:
    compute()
    await asyncio.sleep(0.1)
    return "slow"


@app.route("/stream")
def stream() -> Response:
    def parts():  # type: ignore[no-untyped-def]  # of no interest
        for _ in range(2):
            rest()
            yield "part"

    return Response(parts())


app.add_url_rule("/", "index", lambda: "hello")
fmd_otel.instrument(app)
