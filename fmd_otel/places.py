"""Where code stands: in the application or in a library, and what its file is called.

Names are relative, so that a line is the same one on every machine and in every virtual environment.
"""

from __future__ import annotations

import os
import re
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from flask import Flask

_SITE = re.compile(r"^.*[/\\](?:site|dist)-packages[/\\]")
_OURS = re.compile(r"^.*[/\\](?=fmd_otel(?:_exporter|_dash)?[/\\][^/\\])")
_MOST_REMEMBERED = 8192
_LAST_PARTS = 3


class Place(NamedTuple):
    """A file with code in it."""

    file: str
    """Relative to the application's root for its own code, ``package/module.py`` for libraries."""
    in_app: bool


class Places:
    """Tells places by the file names that code objects carry; one for each application."""

    def __init__(self, app: Flask | None = None) -> None:
        """Learn where an application's code is; without one, all code outside of libraries is the app's."""
        self._root, self._package = _roots(app)
        paths = sysconfig.get_paths()
        self._stdlib = tuple({f"{Path(paths[name])}{os.sep}" for name in ("stdlib", "platstdlib")})
        self._ours = tuple(str(Path(__file__).parents[1] / part) + os.sep for part in _OWN_FOLDERS)
        self._remembered: dict[str, Place] = {}

    def of(self, filename: str) -> Place:
        """Return the place of a code object's ``co_filename``."""
        found = self._remembered.get(filename)
        if found is None:
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            found = self._remembered[filename] = self._look(filename)
        return found

    def _look(self, filename: str) -> Place:  # noqa: PLR0911 # one line for each kind of place
        if not filename or filename.startswith("<"):  # generated, frozen, typed in: nobody's file
            return Place(filename, in_app=False)
        if self._package and (filename + os.sep).startswith(self._package):
            return Place(_below(self._root, filename), in_app=True)
        if site := _SITE.match(filename):
            return Place(_plain(filename[site.end() :]), in_app=False)
        if filename.startswith(self._ours) and (ours := _OURS.match(filename)):
            return Place(_plain(filename[ours.end() :]), in_app=False)
        for folder in self._stdlib:
            if filename.startswith(folder):
                return Place(_plain(filename[len(folder) :]), in_app=False)
        if self._root and filename.startswith(self._root):
            return Place(_below(self._root, filename), in_app=True)
        return Place(_below_import_path(filename), in_app=True)


_OWN_FOLDERS = ("fmd_otel", "exporter/fmd_otel_exporter", "dash_app/fmd_otel_dash")


def _roots(app: Flask | None) -> tuple[str, str]:
    """Return the folder an application's names are relative to, and where its own code is even so.

    The second matters for an application that was installed like a library: it stands among them.
    """
    if app is None:
        return "", ""
    top = app.import_name.partition(".")[0]
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    if module is None or not file:
        return f"{Path(app.root_path)}{os.sep}", ""
    folder = Path(file).absolute().parent
    if hasattr(module, "__path__"):
        return f"{folder.parent}{os.sep}", f"{folder}{os.sep}"
    return f"{folder}{os.sep}", f"{Path(file).absolute()}{os.sep}"


def _below(root: str, filename: str) -> str:
    return _plain(filename.removeprefix(root))


def _below_import_path(filename: str) -> str:
    best = ""
    for entry in sys.path:
        folder = f"{entry.rstrip(os.sep)}{os.sep}"
        if entry and filename.startswith(folder) and len(folder) > len(best):
            best = folder
    if best:
        return _plain(filename[len(best) :])
    # Where it stood is nobody's business; the end of it tells enough.
    return "/".join(_plain(filename).split("/")[-_LAST_PARTS:])


def _plain(filename: str) -> str:
    return filename.replace("\\", "/").lstrip("/")
