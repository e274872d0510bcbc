"""Work that takes a while and was asked for by a person: done once, by one process, watched by everybody.

A job is a row and a lease. The lease keeps a second one from beginning beside it, in whatever process; the
row tells how far it is, to whoever looks. A process that dies in the middle leaves both behind: once the
lease has run out, the row says "interrupted", and the job may be started again.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from fmd_otel_exporter import lease
from fmd_otel_exporter.clock import database_now_us
from fmd_otel_exporter.errors import FmdOtelError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from fmd_otel_exporter.store import Store

RUNNING, DONE, FAILED, INTERRUPTED = "running", "done", "failed", "interrupted"
LEASE = "storage-job"
"""All jobs share it: pruning and vacuuming at once would only get in each other's way."""
LEASE_S = 60
_LONGEST_TEXT = 2000
_US = 1_000_000


class JobRunsError(FmdOtelError):
    """Another job has not ended yet."""


@dataclass(frozen=True)
class Job:
    """The latest of its name."""

    name: str
    state: str
    started_us: int
    updated_us: int
    done: int
    total: int
    """Of what there is to do; 0 where nobody can tell."""
    asked: Mapping[str, Any]
    said: str
    """What came of it, or what went wrong."""


@dataclass
class RunningJob:
    """One that this process is doing."""

    store: Store
    name: str
    owner: str
    lease_s: int
    total: int = 0
    done: int = 0
    clock: Callable[[], float] | None = field(default=None, repr=False)

    def progress(self, done: int) -> None:
        """Say how far it is, and keep the lease.

        Raises:
            JobRunsError: Another process has taken over, since this one was silent for too long.
            StorageError: It cannot be said now.
        """
        self.done = done
        now_us = _now_us(self.store, self.clock)
        if not lease.acquire(self.store, LEASE, self.owner, now_ts_us=now_us, for_us=self.lease_s * _US):
            raise JobRunsError("another process has taken over")
        _change(self.store, self.name, self.owner, updated_ts=now_us, done=done)

    def plan(self, total: int) -> None:
        """Say how much there is to do, now that it is known.

        Raises:
            StorageError: It cannot be said now.
        """
        self.total = total
        _change(self.store, self.name, self.owner, total=total)

    def ask(self, asked: Mapping[str, Any]) -> None:
        """Say more exactly what was asked for.

        Raises:
            StorageError: It cannot be said now.
        """
        _change(self.store, self.name, self.owner, asked=json.dumps(dict(asked)))

    def end(self, said: str, *, failed: bool = False) -> None:
        """Say what came of it, and let others begin theirs.

        Raises:
            StorageError: It cannot be said now.
        """
        _change(
            self.store,
            self.name,
            self.owner,
            updated_ts=_now_us(self.store, self.clock),
            done=self.done,
            state=FAILED if failed else DONE,
            said=said[:_LONGEST_TEXT],
        )
        lease.release(self.store, LEASE, self.owner)


def begin(  # noqa: PLR0913 # each keyword says another thing about the job
    store: Store,
    name: str,
    asked: Mapping[str, Any],
    *,
    total: int = 0,
    lease_s: int = LEASE_S,
    clock: Callable[[], float] | None = None,
) -> RunningJob:
    """Become the one who does a job.

    Args:
        store: Where.
        name: Which kind of job.
        asked: What exactly, and by whom; plain values.
        total: How much there is to do.
        lease_s: How long after its last word it counts as interrupted.
        clock: Tells the time, in seconds since the epoch; by default the database does.

    Raises:
        JobRunsError: Somebody else is doing one.
        StorageError: The database cannot be used now.
    """
    owner = f"{lease.this_process()}:{secrets.token_hex(4)}"[:128]
    now_us = _now_us(store, clock)
    if not lease.acquire(store, LEASE, owner, now_ts_us=now_us, for_us=lease_s * _US):
        raise JobRunsError("a job is running already; wait for its end")
    job = store.tables.job
    values = {
        "state": RUNNING,
        "owner": owner,
        "started_ts": now_us,
        "updated_ts": now_us,
        "done": 0,
        "total": total,
        "asked": json.dumps(dict(asked)),
        "said": "",
    }

    def put(connection: Connection) -> None:
        if connection.execute(update(job).where(job.c.name == name).values(values)).rowcount == 0:
            connection.execute(insert(job).values(name=name, **values))

    store.run(put)
    return RunningJob(store, name, owner, lease_s, total, clock=clock)


def latest(store: Store, *, now_us: int | None = None) -> dict[str, Job]:
    """Return the latest job of each name.

    Raises:
        StorageError: The database cannot be used now.
    """
    now_us = database_now_us(store) if now_us is None else now_us
    job, held = store.tables.job, store.tables.lease
    with store.read() as connection:
        owner = connection.scalar(select(held.c.owner).where(held.c.name == LEASE, held.c.expires > now_us))
        rows = connection.execute(select(job)).mappings().all()
    found = {}
    for row in rows:
        state = row["state"]
        if state == RUNNING and row["owner"] != owner:
            state = INTERRUPTED
        found[row["name"]] = Job(
            name=row["name"],
            state=state,
            started_us=row["started_ts"],
            updated_us=row["updated_ts"],
            done=row["done"],
            total=row["total"],
            asked=_read(row["asked"]),
            said=row["said"],
        )
    return found


def _change(store: Store, name: str, owner: str, **values: Any) -> None:
    job = store.tables.job
    mine = update(job).where(job.c.name == name, job.c.owner == owner).values(values)
    store.run(lambda connection: connection.execute(mine))


def _read(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _now_us(store: Store, clock: Callable[[], float] | None) -> int:
    return database_now_us(store) if clock is None else round(clock() * _US)
