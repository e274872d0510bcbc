"""Statements that are built once.

To build a statement out of SQLAlchemy's expressions takes about a millisecond, and to find out that the same
has been compiled before needs all of it: often ten times what the database takes to answer. A page asks for
dozens. So what is asked again and again is built once for each shape, with a named parameter in place of each
value, and executed with the values of the moment.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, ParamSpec, TypeAlias, TypeVar, cast

from sqlalchemy import BigInteger, bindparam

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import BindParameter, Select
    from typing_extensions import Unpack

P = ParamSpec("P")
T = TypeVar("T")
Statement: TypeAlias = "Select[Unpack[tuple[Any, ...]]]"
"""A query, of whatever columns."""

_MOST = 512
"""Kept of each builder: those of all shapes that are in use."""


def built_once(build: Callable[P, T]) -> Callable[P, T]:
    """Keep what a builder has returned for its arguments, which have to be hashable and say all about it.

    Nothing that is built may hold a value that changes from one request to the next: it is a parameter.
    """
    return cast("Callable[P, T]", lru_cache(maxsize=_MOST)(build))


def integer(name: str) -> BindParameter[int]:
    """Return a parameter for times and widths; its type is known also where nothing beside it tells."""
    return bindparam(name, type_=BigInteger)


def any_of(name: str) -> BindParameter[Any]:
    """Return a parameter for a list of values, to stand within ``in_``."""
    return bindparam(name, expanding=True)
