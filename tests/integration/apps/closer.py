"""An application that is slow when asked to be, fails, and has a pool of threads work for it."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

from flask import Flask, request
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

import fmd_otel

ThreadingInstrumentor().instrument()
app = Flask("closer")
pool = ThreadPoolExecutor(4)


def rest(seconds: float) -> None:
    time.sleep(seconds)


@app.route("/work")
def work() -> str:
    rest(float(request.args.get("s", 0)))
    return str(os.getpid())


@app.route("/fail")
def fail() -> str:
    raise LookupError("no such thing")


def part() -> None:
    end = time.thread_time() + 0.03
    while time.thread_time() < end:
        sum(range(100))
    rest(0.1)


@app.route("/pool")
def pooled() -> str:
    for each in [pool.submit(part) for _ in range(2)]:
        each.result()
    return "done"


fmd_otel.instrument(app)
