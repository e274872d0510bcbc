"""Spans in, rows out: the schema, the writer and the queue between a web worker and the database.

Importing this package imports no database driver and no SQLAlchemy: a web worker pays for them when its first
request has been served, on a background thread.
"""
