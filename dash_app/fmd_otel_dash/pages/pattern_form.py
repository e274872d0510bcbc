"""A form that does something to endpoints whose names match a pattern, and says first which these are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, html, no_update

from fmd_otel_dash import ids
from fmd_otel_dash.components import icon
from fmd_otel_dash.components.forms import text_field
from fmd_otel_dash.formatting import visible
from fmd_otel_dash.pages.changing import sentence
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmd_otel_dash.queries.look import Endpoint
    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View

_MOST_NAMED = 12


@dataclass(frozen=True)
class PatternForm:
    """One such form; its ids begin with its name."""

    name: str
    title: str
    hint: str
    button: str
    symbol: str
    fields: tuple[str, ...]
    """Ids of its other fields, in the order in which their values follow the pattern."""

    def part(self, name: str) -> str:
        """Return the id of a part: ``pattern``, ``matches``, ``problem``, ``apply``."""
        return f"{self.name}-{name}"

    def layout(self, *fields: Any) -> Any:
        """Return the form with its other fields."""
        return html.Section(
            [
                html.H2(self.title),
                text_field(self.part("pattern"), "Endpoints"),
                html.Div(f"Names with * and ?, separated by commas{self.hint}", className="fmd-subtitle"),
                *fields,
                html.Div(id=self.part("matches"), className="fmd-hint", role="status"),
                html.Div(id=self.part("problem"), className="fmd-problem", role="alert"),
                html.Button(
                    [icon(self.symbol, size=15), self.button],
                    id=self.part("apply"),
                    className="fmd-button fmd-primary",
                ),
            ],
            className="fmd-card fmd-form",
        )

    def register(
        self,
        registry: Registry,
        preview: Callable[..., str],
        act: Callable[..., str],
        cards: Sequence[str],
    ) -> None:
        """Register what it says and does.

        Args:
            registry: Where callbacks go.
            preview: Says what a pattern matches: ``preview(view, pattern, *values)``.
            act: Does it, and says what was done; what it raises stands below the fields.
            cards: Those that show something else afterwards.
        """
        pattern = self.part("pattern")

        @registry.callback(
            Output(self.part("matches"), "children"),
            Input(pattern, "value"),
            *(Input(field, "value") for field in self.fields),
            role=ADMIN,
            prevent_initial_call=True,
        )
        def matching(view: View, text: str | None, *values: Any) -> Any:
            return visible(preview(view, text, *values)) if (text or "").strip() else ""

        @registry.callback(
            Output(self.part("problem"), "children"),
            Output(pattern, "value"),
            *(Output(ids.retry(card), "data", allow_duplicate=True) for card in cards),
            Output(ids.NOTICE, "children", allow_duplicate=True),
            Input(self.part("apply"), "n_clicks"),
            State(pattern, "value"),
            *(State(field, "value") for field in self.fields),
            role=ADMIN,
        )
        def apply(view: View, clicks: int, text: str | None, *values: Any) -> Any:
            try:
                done = act(view, text or "", *values)
            except FmdOtelError as error:
                return sentence(error), no_update, *[no_update] * len(cards), no_update
            finally:
                view.services.cache.clear()
            return "", "", *[f"done {clicks}"] * len(cards), done


def named(found: Sequence[Endpoint], *, with_service: bool) -> str:
    """Return names of endpoints, in a line of bearable length; with their service where there are several."""
    names = [
        f"{each.own_name} ({each.service})" if with_service else each.own_name for each in found[:_MOST_NAMED]
    ]
    more = len(found) - _MOST_NAMED
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
