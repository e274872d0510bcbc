"""OpenTelemetry distribution for Flask.

import fmd_otel
fmd_otel.instrument(app)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fmd_otel.capturing import capture
    from fmd_otel.configuration import config
    from fmd_otel.errors import FmdOtelError, SettingsError
    from fmd_otel.graphs import add_graph
    from fmd_otel.handle import Handle
    from fmd_otel.instrumentation import instrument

__all__ = ["FmdOtelError", "Handle", "SettingsError", "add_graph", "capture", "config", "instrument"]

_HOMES = {
    "FmdOtelError": "errors",
    "Handle": "handle",
    "SettingsError": "errors",
    "add_graph": "graphs",
    "capture": "capturing",
    "config": "configuration",
    "instrument": "instrumentation",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the command line needs neither Flask nor OpenTelemetry."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 # part of being lazy

    value = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
