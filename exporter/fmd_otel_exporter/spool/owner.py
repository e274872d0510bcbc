"""Who may read and drop a segment: the process that holds its owner's lock.

Every process writes under a name of its own, ``<pid>-<random>``, and holds an ``flock`` on ``<name>.lock``
for as long as it lives. The kernel lets go of the lock when the process dies, however it dies, and whoever
gets it then inherits the segments. Process ids are shown to people and never compared: they are used again,
and by every container from the start.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import json
import os
import re
import secrets
import socket
import stat
import time
from typing import TYPE_CHECKING, Any, NamedTuple

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

SEGMENT = "seg"
ASIDE = "aside"
"""Holds frames that the release which found them could not read; a later one will."""

_NAME = re.compile(
    r"(?P<owner>\d+-[0-9a-f]{16})\.(?:(?P<lock>lock)|(?P<number>\d{8,})\.(?P<kind>seg|aside|tmp))"
)
_ATTEMPTS = 16


class Owner:
    """A name in a spool directory, and the lock that makes it ours."""

    def __init__(self, directory: Path, name: str, lock_fd: int) -> None:
        """Use :meth:`create` or :meth:`adopt`.

        Args:
            directory: Where its files are.
            name: What their names begin with.
            lock_fd: Open file that holds the lock.
        """
        self.directory = directory
        self.name = name
        self.adopted: list[Path] = []
        """Files found when the name was taken over."""
        self.unfinished = 0
        """How many of them are not delivered yet; the lock is kept until none is."""
        self.unreadable = False
        """Some of them could not be read then; they may be another time."""
        self._lock_fd = lock_fd
        self._started = int(time.time())
        self._dropped = 0
        self._numbers = itertools.count(1)  # atomic, unlike +=: a request and the consumer may open one each

    @classmethod
    def create(cls, directory: Path) -> Owner:
        """Make a new owner, and the directory where needed.

        Raises:
            OSError: The directory cannot be made, written or locked.
        """
        if fcntl is None:
            raise _no_locks()
        _ensure_private(directory)
        for _ in range(_ATTEMPTS):
            name = f"{os.getpid()}-{secrets.token_hex(8)}"
            path = directory / f"{name}.lock"
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if _lock(fd):
                    owner = cls(directory, name, fd)
                    owner._describe_itself()  # the same class
                    return owner
            except OSError:
                os.close(fd)
                with contextlib.suppress(OSError):
                    path.unlink()
                raise
            os.close(fd)  # somebody who cleans up was quicker than our lock; it removes the file
        raise OSError(errno.EAGAIN, "other processes keep removing our lock", str(directory))

    @classmethod
    def adopt(cls, directory: Path, name: str, *, without_lock_file: bool = False) -> Owner | None:
        """Become the owner of what a dead process left, or return None if another one, or it itself, is.

        Args:
            directory: The spool directory.
            name: The owner found there.
            without_lock_file: Take it even if its lock file is gone. Only on a person's word: a living
                process whose lock file was deleted by somebody cannot be told from a dead one.
        """
        flags = os.O_RDWR | (os.O_CREAT if without_lock_file else 0)
        try:
            fd = os.open(directory / f"{name}.lock", flags, 0o600)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            if _lock(fd):
                return cls(directory, name, fd)
        os.close(fd)
        return None

    def next_segment(self) -> Path:
        """Return the path of a segment not used before."""
        return self.directory / f"{self.name}.{next(self._numbers):08d}.{SEGMENT}"

    def note_dropped(self, count: int) -> None:
        """Let whoever looks at the directory know how many records this process has had to drop."""
        if count != self._dropped:
            self._dropped = count
            with contextlib.suppress(OSError):  # the disk is full: no wonder that records are dropped
                self._describe_itself()

    def _describe_itself(self) -> None:
        about = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "started": self._started,
            "dropped": self._dropped,
        }
        os.pwrite(self._lock_fd, json.dumps(about).encode(), 0)  # never shorter than before

    def is_intact(self) -> bool:
        """Tell whether the lock file still stands where others look for it."""
        with contextlib.suppress(OSError):
            return os.fstat(self._lock_fd).st_nlink > 0
        return False

    def release(self) -> None:
        """Give the name up, and remove its lock file if no file needs it any more."""
        if self._lock_fd < 0:
            return
        with contextlib.suppress(OSError):
            if self.is_intact() and not self._has_files():
                (self.directory / f"{self.name}.lock").unlink()
        with contextlib.suppress(OSError):
            # A process forked from this one may still have the file open; unlocking counts for all copies,
            # while closing would not.
            fcntl.flock(self._lock_fd, fcntl.LOCK_UN)
        self.forget()

    def _has_files(self) -> bool:
        """Tell whether somebody will need the lock again; lists the directory for our own name only."""
        if self.adopted:
            return any(path.exists() or path.with_suffix(f".{ASIDE}").exists() for path in self.adopted)
        return any(entry.owner == self.name for entry in entries(self.directory) if entry.kind)

    def forget(self) -> None:
        """Close the lock file without unlocking it: what a forked child does with its parent's lock."""
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)


class Entry(NamedTuple):
    """A file in a spool directory."""

    directory: Path
    name: str
    owner: str
    kind: str
    """Empty for a lock file."""

    @property
    def path(self) -> Path:
        """Where it is; made only when asked for, as a directory may hold thousands."""
        return self.directory / self.name


def entries(directory: Path) -> list[Entry]:
    """List the spool's files, oldest first within each owner; files of others are not ours to touch.

    Raises:
        OSError: The directory cannot be read.
    """
    names = sorted(os.listdir(directory))  # noqa: PTH208 # names are enough
    matches = [match for name in names if (match := _NAME.fullmatch(name))]
    return [Entry(directory, match[0], match["owner"], match["kind"] or "") for match in matches]


def describe(directory: Path, name: str) -> dict[str, Any]:
    """Return what an owner wrote about itself: pid, host, start; empty if it could not be read."""
    with contextlib.suppress(OSError, ValueError):
        about = json.loads((directory / f"{name}.lock").read_text("utf-8"))
        if isinstance(about, dict):
            return about
    return {}


def is_alive(directory: Path, name: str) -> bool | None:
    """Tell whether a process holds this owner's lock; None where no lock file says so."""
    try:
        fd = os.open(directory / f"{name}.lock", os.O_RDONLY)
    except OSError:
        return None
    try:
        # A shared lock, held for an instant: another one who looks is not misled by it.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def _lock(fd: int) -> bool:
    """Lock an open lock file; False if another process has it or has just removed it.

    Raises:
        OSError: This file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(fd).st_nlink > 0


def _no_locks() -> OSError:
    return OSError(errno.ENOLCK, "this platform has no file locks")


def _ensure_private(directory: Path) -> None:
    """Make the directory for this user alone; refuse one that a stranger prepared where everybody can write.

    Raises:
        OSError: It cannot be made, or must not be used.
    """
    try:
        directory.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not stat.S_ISDIR(directory.stat().st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory)) from None
    if directory.parent.stat().st_mode & stat.S_IWOTH:
        about = directory.lstat()
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise PermissionError(errno.EPERM, "it belongs to, or is open to, another user", str(directory))
