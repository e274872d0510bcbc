"""One at a time, over all processes, in a database that has neither locks nor unique keys.

What ClickHouse does have: of several inserts with the same token, it keeps the first. So whoever wants the
turn inserts that it has turn number n + 1, with that number as the token, and looks who has it. Clocks of
clients play no part: the server says when a turn has lasted too long, because its holder was killed.
"""

from __future__ import annotations

import os
import random
import time
from typing import Any

from fmd_otel_exporter.errors import StorageError

TABLE = "fmd_otel_mutex"
LASTS_S = 20
"""After this long without a sign of life a turn ends by itself."""
_POLL_S = 0.01
MAKE = (
    f"CREATE TABLE IF NOT EXISTS {TABLE} (name String, turn UInt64, owner String, lasts_s UInt32, "
    "over UInt8, at DateTime64(6) DEFAULT now64(6)) ENGINE = MergeTree ORDER BY (name, turn) "
    "TTL toDateTime(at) + INTERVAL 30 DAY SETTINGS non_replicated_deduplication_window = 1000"
)
_LOOK = (
    f"SELECT turn, argMinIf(owner, at, over = 0), max(over), "  # noqa: S608 # a constant
    "maxIf(at + toIntervalSecond(lasts_s), over = 0) < now64(6) "
    f"FROM {TABLE} WHERE name = %(name)s GROUP BY turn ORDER BY turn DESC LIMIT 2"
)
NO_TABLE = 60
"""The server's number for that."""
_SETTINGS = {"insert_deduplicate": 1, "async_insert": 0}


class Mutex:
    """One name that one connection at a time may hold."""

    def __init__(self, client: Any, name: str) -> None:
        """Prepare; nothing is asked."""
        self._client = client
        self._name = name
        self._owner = os.urandom(8).hex()
        self._turn = 0
        self._until = 0.0

    @property
    def held(self) -> bool:
        """Whether it is ours, and has been for a short enough time to rely on it."""
        return self._turn > 0

    def check(self) -> None:
        """Make sure that it is still ours, and stays so for a while.

        Raises:
            StorageError: It has been held for so long that another may have it.
        """
        began = time.monotonic()
        if began > self._until:
            raise StorageError("this process has slept through its turn to write", busy=True, again=True)
        if began > self._until - LASTS_S / 2:
            self._insert(self._turn, LASTS_S, over=0)
            self._until = began + LASTS_S * 0.8

    def acquire(self, patience_s: float, *, lasts_s: int | None = None) -> bool:
        """Wait for the turn; tell whether it came in time."""
        lasts_s = LASTS_S if lasts_s is None else lasts_s
        deadline = time.monotonic() + patience_s
        skipped = 0
        while True:
            began = time.monotonic()
            turn, free = self._look()
            if free:
                self._insert(turn + 1 + skipped, lasts_s, over=0)
                holder = self._holder(turn + 1 + skipped)
                if holder == self._owner:
                    self._turn, self._until = turn + 1 + skipped, began + lasts_s * 0.8
                    return True
                # Taken for the same as an insert whose row is long gone.
                skipped = skipped + 1 if holder is None else 0
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S * random.uniform(0.5, 1.5))  # noqa: S311 # no secret

    def release(self, crossed_out: str | None = None) -> None:
        """Let others have it, and cross a note out in the same row, see :mod:`.clickhouse_late`."""
        if self._turn:
            turn, self._turn = self._turn, 0
            self._insert(turn, 0, over=1, crossed_out=crossed_out)

    def _look(self) -> tuple[int, bool]:
        try:
            rows = self._client.query(_LOOK, {"name": self._name}).result_rows
        except Exception as exc:
            if getattr(exc, "code", None) != NO_TABLE:
                raise
            self._client.command(MAKE)
            return 0, True
        if not rows:
            return 0, True
        turn, _, over, expired = rows[0]
        return turn, bool(over or expired)

    def _holder(self, turn: int) -> str | None:
        for found, owner, _, _ in self._client.query(_LOOK, {"name": self._name}).result_rows:
            if found == turn:
                return str(owner)
        return None

    def _insert(self, turn: int, lasts_s: int, *, over: int, crossed_out: str | None = None) -> None:
        # Who holds it already may say so again.
        token = os.urandom(8).hex() if turn == self._turn and not over else f"{self._name}:{turn}:{over}"
        also = "" if crossed_out is None else " UNION ALL SELECT %(crossed_out)s, 0, '', 0, 1"
        self._client.command(
            f"INSERT INTO {TABLE} (name, turn, owner, lasts_s, over) SELECT %(name)s, {turn:d}, %(owner)s, "
            f"{lasts_s:d}, {over:d}{also}",
            {"name": self._name, "owner": self._owner, "crossed_out": crossed_out},
            settings={**_SETTINGS, "insert_deduplication_token": token},
        )
