"""Which version of the application is running."""

from __future__ import annotations

import json
import logging
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit

logger = logging.getLogger("fmd_otel")

UNKNOWN_VERSION = "1.0"
"""What Flask-MonitoringDashboard calls an application that tells no version."""
_SHORT = 7
"""As long as git's own short commit."""
_MAX_LINKS = 5
_HEX = frozenset("0123456789abcdef")
_COMMIT_LENGTHS = (40, 64)


def app_version(
    configured: str | None, git: Path | None, service_version: str | None, import_name: str
) -> str:
    """Decide on the version.

    Args:
        configured: ``APP_VERSION``.
        git: ``GIT``, the repository or its ``.git``.
        service_version: The OpenTelemetry resource's ``service.version``.
        import_name: The Flask application's, to find the package it came in.
    """
    if configured:
        return configured
    if git is not None:
        try:
            return git_commit(git)[:_SHORT]
        except (OSError, ValueError) as error:
            # A container image often lacks the .git of the machine it was built on; that must not stop it.
            logger.warning("GIT=%s gives no version: %s; set APP_VERSION instead", git, error)
    return service_version or package_version(import_name) or UNKNOWN_VERSION


def git_commit(repository: Path) -> str:
    """Return the commit that is checked out, read from git's files: a server needs no git installed.

    Args:
        repository: The working tree, its ``.git`` directory, or the ``.git`` file of a worktree or submodule.

    Raises:
        OSError: Nothing readable there.
        ValueError: Not what git writes.
    """
    directory = _git_directory(repository)
    content = (directory / "HEAD").read_text("utf-8").strip()
    for _ in range(_MAX_LINKS):
        if not content.startswith("ref:"):
            return _commit(content, directory / "HEAD")
        ref = content.removeprefix("ref:").strip()
        content = _read_ref(directory, ref)
    raise ValueError(f"{directory / 'HEAD'} leads to no commit")


def package_version(import_name: str) -> str | None:
    """Return the version of the installed distribution that the application's module belongs to."""
    top = import_name.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    if top == "__main__" or not file:
        return None
    try:
        path = Path(file)
        if any(part in ("site-packages", "dist-packages") for part in path.parts):
            names = metadata.packages_distributions().get(top, ())
            return metadata.version(names[0]) if names else None
        # Installed from its working tree: the distribution of the same name must point here, or it is a
        # stranger.
        distribution = metadata.distribution(top)
        origin = json.loads(distribution.read_text("direct_url.json") or "{}")
        source = Path(unquote(urlsplit(origin.get("url", "")).path))
        editable = origin.get("dir_info", {}).get("editable")
        return distribution.version if editable and source in path.parents else None  # noqa: TRY300 # the last of three ways out
    except (metadata.PackageNotFoundError, ValueError, OSError, KeyError):
        return None


def _git_directory(repository: Path) -> Path:
    """Find the directory that holds HEAD."""
    path = repository
    for _ in range(_MAX_LINKS):
        if path.is_file():  # a worktree or submodule: one line that says where the directory is
            target = path.read_text("utf-8").strip()
            if not target.startswith("gitdir:"):
                raise ValueError(f"{path} is no git repository")
            path = path.parent / target.removeprefix("gitdir:").strip()
        elif (path / "HEAD").is_file():
            return path
        elif (path / ".git").exists():
            path = path / ".git"
        else:
            break
    raise ValueError(f"{repository} is no git repository")


def _read_ref(directory: Path, ref: str) -> str:
    """Return what a ref says, be it a file of its own or packed; a worktree shares most of them."""
    homes = [directory]
    common = directory / "commondir"
    if common.is_file():
        homes.append(directory / common.read_text("utf-8").strip())
    for home in homes:
        loose = home / ref
        if loose.is_file():
            return loose.read_text("utf-8").strip()
    for home in homes:
        packed = home / "packed-refs"
        if not packed.is_file():
            continue
        for line in packed.read_text("utf-8").splitlines():
            commit, _, name = line.partition(" ")
            if name.strip() == ref:
                return commit
    raise ValueError(f"{directory / 'HEAD'} names {ref}, which has no commit")


def _commit(text: str, source: Path) -> str:
    if len(text) not in _COMMIT_LENGTHS or not _HEX.issuperset(text):
        raise ValueError(f"{source} holds no commit")
    return text
