"""A view to fail in."""

from __future__ import annotations

import pytest


@pytest.fixture
def view(app):
    """Add a view at /x."""

    def add(function, **options):
        app.add_url_rule("/x", "x", function, **options)
        return app

    return add
