"""What profiling costs an endpoint, below the buttons that set its level.

What is said here is an estimate, from the endpoint's own profiles (how often a request is looked at) and from
a benchmark (what a look costs), and says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import html

from fmd_otel_dash import formatting
from fmd_otel_dash.queries.profiles import profiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.queries.profiles import ProfileRow
    from fmd_otel_dash.view import View

LOOK_US = (150, 450)
"""CPU that one look at a stack takes: 26 to 28 frames, on two busy cores (docs/views.md)."""
LARGEST_SHARE = 0.02
"""Of one core: the sampler looks less often before it takes more."""
_FAR_US = 1 << 62


def note(view: View, endpoint: Endpoint) -> Any:
    """Return what level 3 costs here."""
    newest = view.query(profiles, endpoint.id, (0, _FAR_US))
    return html.Div(price_text(newest), className="fmd-price")


def price_text(rows: Sequence[ProfileRow]) -> str:
    """Return what level 3 costs a request, by what is known of the newest profiles."""
    sampled = [row for row in rows if not row.exact and row.duration_us > 0]
    if not sampled:
        return (
            "Level 3 has not been tried here. Benchmarked, it takes 0 to 6 % of the throughput of a busy "
            "CPU, below 1 ms of CPU for a request that waits, and next to nothing for one over within 10 ms."
        )
    duration = sum(row.duration_us for row in sampled) / len(sampled)
    looks = sum(row.samples for row in sampled) / len(sampled)
    most = LARGEST_SHARE * duration
    looked = f"{looks:.1f} looks at the stack a request (newest {len(sampled):,} profiles)"
    low, high = (looks * us for us in LOOK_US)
    if low >= most:
        return (
            f"Level 3 costs at most {formatting.duration(most)} of {formatting.duration(duration)} here: the "
            f"sampler keeps below 2 % of a core. {looked}."
        )
    return (
        f"Level 3 costs about {formatting.duration(low)} to {formatting.duration(min(high, most))} of "
        f"{formatting.duration(duration)} here: an estimate from {looked}, each {LOOK_US[0] / 1000:g} to "
        f"{LOOK_US[1] / 1000:g} ms of CPU in the benchmark, and never above 2 % of a core."
    )
