"""A report in words and as a file: for a page, a pull request, or a machine."""

from __future__ import annotations

from fmd_otel_dash.reports.files import FORMATS, rendered, sides
from fmd_otel_dash.reports.words import got_better, headline, measured, summary, verdict

__all__ = ["FORMATS", "got_better", "headline", "measured", "rendered", "sides", "summary", "verdict"]
