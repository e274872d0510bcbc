"""Exceptions to be met, and what was recorded of them."""

from __future__ import annotations

import textwrap

from fmd_otel.backstage import backstage
from fmd_otel_exporter.documents import decode_document


class OutOfStockError(Exception):
    pass


class Kept:
    """Something whose end can be seen."""


def met(watched):
    """All exceptions that were recorded, with their documents."""
    assert backstage().drain(60)
    return watched.sink.details


def only(watched):
    found = met(watched)
    assert len(found) == 1, found
    return found[0]


def document(record):
    return decode_document(record.document)


def raising(error=OutOfStockError, *args):
    raise error(*args)


def quietly(app, serve, path="/x", **more):
    """Serve a request whose exception may come all the way through."""
    try:
        return serve(app, path, **more)
    except Exception as error:  # noqa: BLE001 # that is what is looked at
        return error


def code(text, name="shop/cart.py"):
    found = {"__name__": "shop.cart"}
    exec(compile(textwrap.dedent(text), name, "exec"), found)  # noqa: S102 # code of our own, with a name of its own
    return found
