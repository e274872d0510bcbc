"""Schemathesis holds the API against its own OpenAPI document."""

from __future__ import annotations

import time

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from fmd_otel_dash.api import routes
from fmd_otel_dash.api.resources import RESOURCES
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.writer import Writer

TOKEN = "a-long-secret"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Accept-Encoding": "identity"}


class Unlimited:
    """A limit that is none: a thousand questions are what this is about."""

    def __init__(self, *_how_many: float) -> None:
        pass

    def take(self, _caller: str) -> int:
        return 0

    def give_back(self, _caller: str) -> None:
        pass


@pytest.fixture
def document(make_dashboard, store, monkeypatch):
    """The document of a dashboard with some requests."""
    monkeypatch.setattr(routes, "Limit", Unlimited)
    now_us = time.time_ns() // 1000
    Writer(store).write(
        [
            RequestRecord(
                "shop", "shop.cart", now_us - 60_000_000 - i, i.to_bytes(8, "big"), i.to_bytes(16, "big"),
                10_000, 200, "GET", "1.0", "eve", "10.0.0.1",
            )
            for i in range(1, 31)
        ]
    )  # fmt: skip
    dashboard = make_dashboard(security_token=TOKEN)
    return schemathesis.openapi.from_wsgi(
        "/dashboard/api/v1/openapi.json", app=dashboard.wsgi, headers=HEADERS
    )


@pytest.mark.parametrize("name", [each.name for each in RESOURCES])
def test_the_api_is_what_its_document_says(document, name):
    # All but one of its checks: that a moment, a zone or a cursor is one of ours, no schema can say.
    operation = document[f"/{name}"]["GET"]

    @given(case=operation.as_strategy())
    @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def check(case):
        case.call_and_validate(headers=HEADERS, excluded_checks=[positive_data_acceptance])

    check()
