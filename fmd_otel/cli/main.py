"""The command and its sub-commands."""

from __future__ import annotations

import click

from fmd_otel.cli.config import show_config
from fmd_otel.cli.dashboard import serve_dashboard
from fmd_otel.cli.database import database
from fmd_otel.cli.generate import generate
from fmd_otel.cli.prune import prune_database, vacuum_database
from fmd_otel.cli.report import write_report
from fmd_otel.cli.spool import spool


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fmd-otel", prog_name="fmd-otel")
def main() -> None:
    """Monitoring for Flask applications, on OpenTelemetry.

    \b
    In the application:   fmd_otel.instrument(app)
    Without touching it:  opentelemetry-instrument flask run
    """  # noqa: D301 # click's sign not to fold what follows


main.add_command(show_config)
main.add_command(serve_dashboard)
main.add_command(database)
main.add_command(generate)
main.add_command(prune_database)
main.add_command(write_report)
main.add_command(spool)
main.add_command(vacuum_database)
