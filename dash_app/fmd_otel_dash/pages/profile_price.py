"""What profiling costs an endpoint, below the buttons that set its level.

Each profile brings along what it took to make, as the worker has measured it. What level 2 takes is too
little to be measured at each request: there the benchmark has to do, and is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.queries.profiles import price

if TYPE_CHECKING:
    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.queries.profiles import Price
    from fmd_otel_dash.view import View

LEVEL_2_US = 70
"""CPU that level 2 adds to a request, as ``python -m benchmarks.profiler`` has it (docs/performance.md)."""


def note(view: View, endpoint: Endpoint) -> Any:
    """Return what levels 2 and 3 cost here."""
    return html.Div(price_text(view.query(price, endpoint.id)), className="fmd-price")


def price_text(measured: Price | None) -> str:
    """Return what looking closer costs a request."""
    level_2 = (
        f"Level 2 costs about {formatting.duration(LEVEL_2_US)} of CPU a request in the benchmark "
        "(docs/performance.md)."
    )
    if measured is None:
        return f"What level 3 costs is measured here once it has been tried. {level_2}"
    cost, whole = formatting.duration(measured.price_us), formatting.duration(measured.duration_us)
    profiles = "one profile" if measured.n == 1 else f"the newest {measured.n:,} profiles"
    return (
        f"Level 3 costs {cost} of {whole} here, as measured with {profiles}: {measured.looks:.1f} looks at "
        f"the stack a request, and putting the profile together. {level_2}"
    )
