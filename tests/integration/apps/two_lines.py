"""The same with the two lines."""

from __future__ import annotations

from plain import create_app

import fmd_otel

app = create_app()
fmd_otel.instrument(app)
