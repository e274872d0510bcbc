"""The storage page's buttons: prune and vacuum, and how far they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import Input, Output, State, dcc, html, no_update

from fmd_otel_dash import formatting, ids, upkeep
from fmd_otel_dash.components import icon, plain_table
from fmd_otel_dash.components.attributes import attributes
from fmd_otel_dash.components.forms import number_field, send_button
from fmd_otel_dash.components.storage import progress
from fmd_otel_dash.queries.storage import table_label
from fmd_otel_dash.roles import ADMIN
from fmd_otel_exporter import jobs
from fmd_otel_exporter.errors import FmdOtelError
from fmd_otel_exporter.settings import MOST_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fmd_otel_dash.registry import Registry
    from fmd_otel_dash.view import View
    from fmd_otel_exporter.jobs import Job

CARD, JOBS, STATE, POLL = "storage-upkeep", "storage-jobs", "storage-job-state", "storage-job-poll"
DAYS, SHOW, PREVIEW = "storage-prune-days", "storage-prune-show", "storage-prune-preview"
WANTED = "storage-wanted"
"""Store that the buttons write to."""
POLL_MS = 2000
_USUAL_DAYS = 30
_VACUUM_QUESTION = "Write the database file anew? Applications that want to write wait until it is done."
_SPARED = "No day (UTC) is cut before it is over: what its users did is added up from its requests."
_VERBS = {
    upkeep.PRUNE: "Deleting what is old",
    upkeep.VACUUM: "Vacuuming",
    upkeep.REMOVE: "Deleting the endpoint",
}
_NOUNS = {upkeep.PRUNE: "Prune", upkeep.VACUUM: "Vacuum", upkeep.REMOVE: "Deleting the endpoint"}


def layout(span: int) -> Any:
    """Return the card."""
    return html.Section(
        [
            html.Div(html.H2("Upkeep"), className="fmd-card-head"),
            html.Div(
                [
                    number_field(
                        DAYS, "Delete what is older than", _USUAL_DAYS, least=1, most=MOST_DAYS, unit=" days"
                    ),
                    html.Button(
                        [icon("search", size=15), "Show what would go"], id=SHOW, className="fmd-button"
                    ),
                ],
                className="fmd-upkeep-row",
            ),
            html.Div(id=PREVIEW, className="fmd-upkeep-preview", **attributes(aria_live="polite")),
            html.Div(
                [
                    html.Span("Space of deleted rows is used again; vacuum gives it back to the disk."),
                    _button("Vacuum", {"job": upkeep.VACUUM}, confirm=_VACUUM_QUESTION),
                ],
                className="fmd-upkeep-row fmd-upkeep-vacuum",
            ),
            html.Div(id=ids.body(JOBS), className="fmd-jobs", **attributes(aria_live="polite")),
            dcc.Store(id=ids.retry(JOBS)),
            dcc.Store(id=WANTED),
            dcc.Store(id=STATE),
            dcc.Interval(id=POLL, interval=POLL_MS),
        ],
        id=CARD,
        className="fmd-card",
        style={"--span": span},
    )


def register(registry: Registry, refresh: Sequence[str]) -> None:
    """Register the buttons; the cards named are filled anew when a job has ended."""

    @registry.card(JOBS, role=ADMIN)
    def how_far(view: View) -> Any:
        return _jobs(jobs.latest(view.store), view.now_us)

    @registry.callback(
        Output(PREVIEW, "children"),
        Input(SHOW, "n_clicks"),
        State(DAYS, "value"),
        role=ADMIN,
    )
    def what_would_go(view: View, _clicks: int, days: Any) -> Any:
        try:
            return _preview(upkeep.preview(view.store, days), days)
        except FmdOtelError as error:
            return html.Div(str(error), className="fmd-problem", role="alert")

    @registry.callback(
        Output(PREVIEW, "children", allow_duplicate=True),
        Output(ids.retry(JOBS), "data", allow_duplicate=True),
        Output(ids.NOTICE, "children", allow_duplicate=True),
        Input(WANTED, "data"),
        role=ADMIN,
    )
    def begin(view: View, wanted: dict[str, Any]) -> Any:
        try:
            return "", wanted, _begin(view, wanted)
        except FmdOtelError as error:
            return no_update, wanted, f"Not started: {error}"

    @registry.callback(
        Output(ids.body(JOBS), "children", allow_duplicate=True),
        Output(STATE, "data"),
        *(Output(ids.retry(each), "data", allow_duplicate=True) for each in refresh),
        Input(POLL, "n_intervals"),
        State(STATE, "data"),
        role=ADMIN,
    )
    def poll(view: View, ticks: int, before: Any) -> Any:
        latest = jobs.latest(view.store)
        states = {job.name: f"{job.state} {job.updated_us}" for job in latest.values()}
        if states == before:
            return [no_update] * (2 + len(refresh))
        view.services.cache.clear()
        ended = before is not None and not any(job.state == jobs.RUNNING for job in latest.values())
        again = f"ended {ticks}" if ended else no_update
        return [_jobs(latest, view.now_us), states, *[again] * len(refresh)]


def _begin(view: View, wanted: Mapping[str, Any]) -> str:
    if wanted.get("job") == upkeep.PRUNE:
        upkeep.start_prune(view.store, wanted.get("days"), view.user.name)
        return f"Deleting what is older than {wanted['days']} days."
    if wanted.get("job") == upkeep.VACUUM:
        upkeep.start_vacuum(view.store, view.user.name)
        return "Vacuuming."
    raise upkeep.UpkeepError("there is no such job.")


def _preview(found: upkeep.Preview, days: int) -> Any:
    plural = "1 day" if days == 1 else f"{days:,} days"
    spared = html.Div(_SPARED, className="fmd-hint") if found.spares_open_day else None
    counts = found.rows
    if not counts:
        spares = found.spares_open_day
        nothing = f"Nothing older than {plural} can go." if spares else f"Nothing is older than {plural}."
        return html.Div([html.Div(nothing, className="fmd-hint"), spared])
    total = sum(counts.values())
    delete = f"Delete {total:,} row{'' if total == 1 else 's'}"
    rows = [(table_label(name), f"{n:,}") for name, n in sorted(counts.items(), key=lambda one: -one[1])]
    question = f"{delete} older than {plural}? They cannot be brought back. Sums by the day stay."
    return html.Div(
        [
            plain_table((f"Older than {plural}", "Rows"), rows, numeric=(1,)),
            spared,
            html.Div(
                [
                    html.Span(
                        "Sums by the day stay, so that charts of whole days stay right.",
                        className="fmd-faint",
                    ),
                    _button(
                        delete,
                        {"job": upkeep.PRUNE, "days": days},
                        confirm=question,
                        danger=True,
                    ),
                ],
                className="fmd-upkeep-row",
            ),
        ]
    )


def _jobs(latest: Mapping[str, Job], now_us: int) -> Any:
    shown = sorted(latest.values(), key=lambda job: -job.started_us)
    return [_job(job, now_us) for job in shown] or None


def _job(job: Job, now_us: int) -> Any:
    by = f" · {job.asked['by']}" if isinstance(job.asked.get("by"), str) else ""
    what = f", older than {job.asked['days']} d" if isinstance(job.asked.get("days"), int) else ""
    if isinstance(job.asked.get("endpoint"), str):
        what = f" {job.asked['endpoint']}"
    if job.state == jobs.RUNNING:
        far = f"{job.done:,} of {job.total:,} rows" if job.total else "under way"
        label = f"{_VERBS.get(job.name, job.name)}{what}"
        return html.Div(
            [
                html.Div(
                    [html.Strong(label), html.Span(far, className="fmd-number")], className="fmd-job-head"
                ),
                progress(job.done, job.total, label),
                html.Div(f"since {formatting.ago(job.started_us, now_us)}{by}", className="fmd-faint"),
            ],
            className="fmd-job running",
        )
    said = job.said
    if job.state == jobs.INTERRUPTED:
        said = "The process that did it is gone; start it again for the rest."
    good = job.state == jobs.DONE
    return html.Div(
        [
            html.Span(
                icon("check" if good else "alert", size=17),
                className=f"fmd-health-sign {'good' if good else 'warn'}",
            ),
            html.Div(
                [
                    html.Div(
                        [
                            html.Strong(f"{_NOUNS.get(job.name, job.name)}{what}"),
                            f" {job.state} {formatting.ago(job.updated_us, now_us)}{by}",
                        ]
                    ),
                    html.Div(said, className="fmd-health-text"),
                ]
            ),
        ],
        className="fmd-job",
    )


def _button(text: str, wanted: dict[str, Any], *, confirm: str, danger: bool = False) -> Any:
    face = [icon("trash", size=14) if danger else None, text]
    look = "fmd-button fmd-danger" if danger else "fmd-button"
    return send_button(face, WANTED, wanted, confirm=confirm, look=look)
