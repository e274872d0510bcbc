"""Changes that somebody makes on a page: done, told in words, and seen at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_dash.view import View

NOT_CHANGED = "Not changed: "


def told(view: View, change: Callable[[], Any]) -> Any:
    """Do something, and return what was done, or why not."""
    try:
        return change()
    except FmdOtelError as error:
        return f"{NOT_CHANGED}{error}."
    finally:
        view.services.cache.clear()


def sentence(error: FmdOtelError) -> str:
    """Return what is wrong, as it stands beside the field that it is about."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
