"""What pages are put together from. The only package that imports the component libraries."""

from __future__ import annotations

from fmd_otel_dash.components.controls import url_multiselect, url_segments, url_select, url_text
from fmd_otel_dash.components.deploys import with_deploys
from fmd_otel_dash.components.foreign import foreign
from fmd_otel_dash.components.graph import graph
from fmd_otel_dash.components.icons import icon
from fmd_otel_dash.components.kpi import change, kpi, kpi_row
from fmd_otel_dash.components.layout import card, grid, page
from fmd_otel_dash.components.state import (
    empty,
    failure,
    first_request_hint,
    level_too_low,
    nothing_in_range,
    nothing_recorded,
    skeleton,
)
from fmd_otel_dash.components.table import column, data_grid, leading, link, number, plain_table

__all__ = [
    "card", "change", "column", "data_grid", "empty", "failure", "first_request_hint", "foreign",
    "graph", "grid", "icon", "kpi", "kpi_row", "leading", "level_too_low", "link", "nothing_in_range",
    "nothing_recorded", "number", "page", "plain_table", "skeleton", "url_multiselect",
    "url_segments", "url_select", "url_text", "with_deploys",
]  # fmt: skip
