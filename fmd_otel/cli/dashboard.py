"""``fmd-otel dashboard``: the dashboard in a process of its own."""

from __future__ import annotations

import errno
import signal
import socket
import sys
from contextlib import nullcontext
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, NoReturn

import click

from fmd_otel.cli.problems import told_plainly
from fmd_otel.composition import load_settings
from fmd_otel_exporter.errors import FmdOtelError, SettingsError, safe_url

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import FrameType

    from fmd_otel_dash.settings import DashboardSettings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8050
_ANY_HOST = ("", "0.0.0.0", "::")  # noqa: S104 # compared with, not bound to
_NEEDED = ("dash", "dash_mantine_components", "dash_ag_grid", "plotly", "waitress")


@click.command("dashboard")
@click.option("--database", metavar="URL", help="SQLAlchemy URL of the database the applications write to.")
@click.option(
    "--host", default=DEFAULT_HOST, show_default=True, help="Address to listen on; 0.0.0.0 for all."
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 for any free one.",
)
@click.option("--table-prefix", metavar="PREFIX", help="Beginning of the tables' names.")
@click.option(
    "--url-prefix", metavar="PATH", help="Path of the dashboard; / for the root. Default: /dashboard."
)
@click.option("--config", metavar="FILE", help="Configuration file; default: the one FMD_OTEL_CONFIG names.")
def serve_dashboard(  # noqa: PLR0913 # one argument for each option
    *,
    database: str | None,
    host: str,
    port: int,
    table_prefix: str | None,
    url_prefix: str | None,
    config: str | None,
) -> None:
    """Serve the dashboard until Ctrl-C.

    Everything else is set as for an application: by a configuration file or FMD_OTEL_* variables; `fmd-otel
    config` lists them.
    """
    with told_plainly():
        settings = dashboard_settings(database, table_prefix, url_prefix, config)
        missing = [package for package in _NEEDED if find_spec(package) is None]
        if missing:
            raise FmdOtelError(
                f"the dashboard needs {', '.join(missing)}; install with: pip install 'fmd-otel[dashboard]'"
            )
        _serve(settings, host, port)


def dashboard_settings(
    database: str | None, table_prefix: str | None, url_prefix: str | None, config: str | None
) -> DashboardSettings:
    """Compose the settings; options are stronger than everything else."""
    at_root = url_prefix is not None and not url_prefix.strip("/")
    options = {
        "config": config,
        "database": database,
        "table_prefix": table_prefix,
        "custom_link": None if at_root else url_prefix,
    }
    settings = load_settings(options, keyword_origin=_option_name)
    for warning in settings.warnings:
        click.echo(f"Warning: {warning}", err=True)
    dashboard = settings.dashboard()
    return replace(dashboard, url_prefix="") if at_root else dashboard


def _option_name(keyword: str) -> str:
    name = "url-prefix" if keyword == "custom_link" else keyword.replace("_", "-")
    return f"option --{name}"


def _serve(settings: DashboardSettings, host: str, port: int) -> None:
    import waitress  # noqa: PLC0415 # part of the dashboard's extra

    from fmd_otel_dash import create_wsgi, setup_path  # noqa: PLC0415 # the same
    from fmd_otel_dash.presence import Presence  # noqa: PLC0415 # the same

    with _untraced():
        application = create_wsgi(settings, announce=False)  # setup_path does, below
    # The port before the database: a set-up link is of no use where nobody listens.
    try:
        server: Any = waitress.create_server(application, host=host, port=port, threads=8, ident="fmd-otel")
    except OSError as error:
        raise _port_problem(error, host, port) from None
    base = _address(server, host)
    click.echo(f"Database:  {safe_url(settings.database)}")
    click.echo(f"Dashboard: {base}{settings.url('/')}")
    set_up = setup_path(settings)
    if set_up is not None:
        click.echo(f"Nobody can sign in yet. Create the first user here, within a day:\n  {base}{set_up}")
    click.echo("Ctrl-C stops it.")
    signal.signal(signal.SIGTERM, _leave)
    try:
        with Presence(settings):
            server.run()
    except KeyboardInterrupt:
        click.echo("")
    finally:
        server.close()


def _untraced() -> AbstractContextManager[None]:
    """Keep the dashboard from being traced where zero-code instrumentation is active in this process too."""
    if "opentelemetry.instrumentation.flask" not in sys.modules:
        return nullcontext()
    from fmd_otel.otel_internals import plain_flask  # noqa: PLC0415 # not for every dashboard

    return plain_flask()


def _address(server: Any, host: str) -> str:
    """Return what to type into a browser: a name for "all addresses", and the port that was found free."""
    port = getattr(server, "effective_port", None) or server.effective_listen[0][1]
    name = "localhost" if host in _ANY_HOST else f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def _port_problem(error: OSError, host: str, port: int) -> FmdOtelError:
    if error.errno == errno.EADDRINUSE:
        return FmdOtelError(
            f"port {port} on {host} is in use; choose another with --port, or any with --port 0"
        )
    if error.errno == errno.EACCES:
        return FmdOtelError(f"port {port} may not be used by this user; choose one from 1024 on with --port")
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return SettingsError(f"--host {host!r} is no address of this machine; 0.0.0.0 listens on all of them")
    return FmdOtelError(f"cannot listen on {host}:{port}: {error}")


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    """End as on Ctrl-C, so that the server closes its connections."""
    raise KeyboardInterrupt
