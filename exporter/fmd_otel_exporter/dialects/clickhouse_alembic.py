"""Lets Alembic upgrade a ClickHouse database; importing this is enough."""

from __future__ import annotations

from alembic.ddl.impl import DefaultImpl


class ClickhouseImpl(DefaultImpl):
    """Alembic's plain ways: the dialect makes of them what ClickHouse needs."""

    __dialect__ = "clickhousedb"
    transactional_ddl = False
