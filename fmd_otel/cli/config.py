"""``fmd-otel config``: what is in force, and who said so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from fmd_otel.cli.problems import told_plainly
from fmd_otel.composition import load_settings

if TYPE_CHECKING:
    from fmd_otel.settings import Settings


@click.command("config")
@click.option("--config", metavar="FILE", help="Configuration file; default: the one FMD_OTEL_CONFIG names.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON for programs instead of a table for people."
)
def show_config(config: str | None, as_json: bool) -> None:  # noqa: FBT001 # click passes options by name
    """Print the effective settings and where each comes from.

    What the application sets in its own code is not known here. Secrets are masked.
    """
    with told_plainly():
        settings = load_settings({"config": config})
    click.echo(_as_json(settings) if as_json else _as_table(settings))
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}", err=True)


def _as_json(settings: Settings) -> str:
    rows = {key.name: {"value": value, "origin": origin} for key, value, origin in settings.shown()}
    return json.dumps(rows, indent=2, ensure_ascii=False)


def _as_table(settings: Settings) -> str:
    rows = [("SETTING", "VALUE", "FROM")]
    rows += [(key.name, _text(value), origin) for key, value, origin in settings.shown()]
    name_width, value_width = (max(len(row[column]) for row in rows) for column in (0, 1))
    return "\n".join(f"{name:{name_width}}  {value:{value_width}}  {origin}" for name, value, origin in rows)


def _text(value: Any) -> str:
    return "-" if value is None else str(value)
