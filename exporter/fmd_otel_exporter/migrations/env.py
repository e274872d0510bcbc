"""Run by Alembic: the connection and the table prefix come from the caller."""

from __future__ import annotations

from alembic import context

from fmd_otel_exporter.migrations import version_table

context.configure(
    connection=context.config.attributes["connection"],
    version_table=version_table(context.config.attributes["prefix"]),
)
context.run_migrations()
