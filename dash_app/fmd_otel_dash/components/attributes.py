"""HTML attributes that Python cannot spell."""

from __future__ import annotations

from typing import Any


def attributes(**values: Any) -> dict[str, Any]:
    """Return keyword arguments with hyphens: ``aria_label="Loading"`` becomes ``aria-label``."""
    return {name.replace("_", "-"): value for name, value in values.items()}
