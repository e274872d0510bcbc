"""The ids that most keys begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables


def all_endpoint_ids(connection: Connection, tables: Tables) -> Sequence[int]:
    """Return the ids of all endpoints, to find one's way by in tables whose keys begin with them.

    Named one by one, they and a range of time are a seek each. Of a subquery for them, MariaDB and MySQL
    would make a walk through all rows there are.
    """
    return connection.scalars(select(tables.endpoint.c.id)).all()
