"""From code objects to lines that a person can read; off the request path, once for each."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

from fmd_otel_exporter.records import CodeLine

if TYPE_CHECKING:
    from types import CodeType

MOST_LINES = 16_384
"""Lines that are remembered; more than an application has, unless it makes code while it runs."""
_SOURCE_LENGTH = 400
_PACKAGES = ("site-packages", "dist-packages")
_NAME_LENGTH = 255


class LineResolver:
    """Names the lines of one application."""

    def __init__(self, root: str | os.PathLike[str] | None = None) -> None:
        """Resolve for an application.

        Args:
            root: Folder of its own code. Whatever else is neither an installed package nor the standard
                library counts as its own as well, but is found in some other folder of ``sys.path``.
        """
        self._root = None if root is None else _folder(root)
        self._library = tuple(sorted({_folder(path) for path in _library_folders()}, key=len, reverse=True))
        # The code object is kept beside its line: its id must not go to another one.
        self._known: dict[tuple[int, int], tuple[CodeType, CodeLine]] = {}
        self._files: dict[str, tuple[str, bool]] = {}

    def line_at(self, code: CodeType, position: int) -> CodeLine:
        """Return the line of an instruction; that of the function's definition for a negative position."""
        known = self._known.get((id(code), position))
        if known is None:
            if len(self._known) >= MOST_LINES:
                self._known.clear()
                self._files.clear()
            known = self._known[id(code), position] = (code, self._resolve(code, position))
        return known[1]

    def _resolve(self, code: CodeType, position: int) -> CodeLine:
        number = line_number(code, position)
        file, in_app = self.place(code.co_filename)
        source = linecache.getline(code.co_filename, number).strip() or None
        return CodeLine(
            file=file,
            function=function_name(code),
            line=number,
            source=source[:_SOURCE_LENGTH] if source else None,
            in_app=in_app,
        )

    def place(self, filename: str) -> tuple[str, bool]:
        """Return how a file is called in profiles, the same on every machine, and whether it is the app's."""
        known = self._files.get(filename)
        if known is None:
            if len(self._files) >= MOST_LINES:
                self._files.clear()
            known = self._files[filename] = self._place(filename)
        return known

    def _place(self, filename: str) -> tuple[str, bool]:
        if filename.startswith("<"):
            # Made while running: a template engine's, a shell's, an exec's. Nobody's library says so.
            return filename[:_NAME_LENGTH], not filename.startswith("<frozen ")
        path = os.path.normcase(os.path.abspath(filename))  # noqa: PTH100 # as the interpreter spells them
        parts = Path(path).parts
        for package in _PACKAGES:
            if package in parts:
                inside = parts[len(parts) - parts[::-1].index(package) :]
                return "/".join(inside)[-_NAME_LENGTH:], False
        if path.startswith(_OURS):
            return path[len(_folder(Path(_OURS).parent)) :].replace(os.sep, "/"), False
        library = next((folder for folder in self._library if path.startswith(folder)), None)
        if library is not None:
            return path[len(library) :].replace(os.sep, "/")[-_NAME_LENGTH:], False
        root = self._root
        if root is None or not path.startswith(root):
            folders = (_folder(folder) for folder in sys.path if folder)
            root = max((folder for folder in folders if path.startswith(folder)), key=len, default="")
        return path[len(root) :].lstrip(os.sep).replace(os.sep, "/")[-_NAME_LENGTH:], True


def project_root(root_path: str, import_name: str) -> Path:
    """Return the folder an application's packages lie in, above the package that makes it."""
    folder = Path(root_path)
    module = sys.modules.get(import_name)
    levels = import_name.count(".") if import_name != "__main__" else 0
    if getattr(module, "__path__", None) is not None:
        levels += 1  # a package's root path is the package's own folder
    for _ in range(levels):
        folder = folder.parent
    return folder


def line_number(code: CodeType, position: int) -> int:
    """Return the line of an instruction; that of the function's definition where it has none."""
    if position >= 0:
        found = code.co_firstlineno
        for start, end, line in code.co_lines():
            if start <= position < end:
                return line if line is not None else found
            if line is not None:
                found = line
    return code.co_firstlineno


def function_name(code: CodeType) -> str:
    """Return the qualified name; before 3.11 code objects only know the last part of it."""
    return str(getattr(code, "co_qualname", code.co_name))[:_NAME_LENGTH]


def _library_folders() -> list[str]:
    paths = sysconfig.get_paths()
    found = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib") if name in paths]
    # A virtual environment's standard library is that of the interpreter it was made from.
    base = Path(sys.base_prefix, sys.platlibdir, f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return [*found, str(base)]


def _folder(path: str | os.PathLike[str]) -> str:
    return os.path.join(os.path.normcase(os.path.abspath(path)), "")  # noqa: PTH100, PTH118 # ends in a separator


_OURS = _folder(Path(__file__).parents[1])
