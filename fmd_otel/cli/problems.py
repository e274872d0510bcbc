"""Errors on the command line: one message, no traceback, and an exit code that tells whose fault it is.

2: what was asked cannot be done, because of an option or a setting. 1: it can, but not here and now; a
database or a port is not available. 130: somebody has stopped it.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from fmd_otel_exporter.errors import FmdOtelError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERRUPTED = 130
"""Exit code of a program that Ctrl-C has stopped, as shells tell it."""


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn our errors, and Ctrl-C where nobody says what became of the work, into messages."""
    try:
        yield
    except SettingsError as error:
        raise _WrongSettings(str(error)) from None
    except FmdOtelError as error:
        raise click.ClickException(str(error)) from None
    except KeyboardInterrupt:
        click.echo("\nStopped.", err=True)
        sys.exit(INTERRUPTED)


class _WrongSettings(click.ClickException):
    exit_code = 2
