"""What makes two exceptions the same one: their type, and the way through the application's code.

Not the message, which names the one user or order it was about, and not line numbers, which move with every
edit above them.
"""

from __future__ import annotations

import hashlib
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from types import CodeType

    from fmd_otel.places import Places

MOST_FRAMES = 2000
"""Frames looked at for one exception, from the outermost; Python itself allows 1,000."""
_MOST_REMEMBERED = 1024
_MOST_MEMBERS = 50
_INLINED = frozenset({"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>"})
"""Frames that newer interpreters do not make any more."""
_GENERATED = re.compile(r"0x[0-9a-fA-F]+|(?<![A-Za-z])(?=[a-f]*\d)[0-9a-f]{8,}|\d{3,}")
_SUFFIX = re.compile(r"\.pyc?$")


class Group(NamedTuple):
    """Exceptions that are the same one."""

    id: int
    """63 bits, never 0."""
    type: str
    place: str
    """The innermost line of the application's own, without the line."""


class CodePaths:
    """Tells which group an exception belongs to. Known ways are recognised without building any text."""

    def __init__(self, service: str, places: Places) -> None:
        """Group the exceptions of one service."""
        self._service = service
        self._places = places
        # The code objects are kept beside their group, so that their identities stay theirs.
        self._remembered: dict[Any, tuple[Group, list[CodeType]]] = {}

    def group_of(self, error: BaseException, codes: list[CodeType]) -> Group:
        """Return the group of an exception.

        Args:
            error: The exception.
            codes: What its frames run, outermost first.
        """
        key = (type(error), _member_types(error), *map(id, codes))
        found = self._remembered.get(key)
        if found is None:
            found = self._group(error, codes), codes
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = found
        return found[0]

    def _group(self, error: BaseException, path: list[CodeType]) -> Group:
        steps = [(self._places.of(code.co_filename), qualified_name(code)) for code in path]
        own = [step for step in steps if step[0].in_app] or steps
        kind = type_name(type(error))
        texts = [self._service, _GENERATED.sub("#", kind), *map(str, _member_types(error))]
        # Recursion collapses here, whatever its depth: of a function that comes again, the first time counts.
        texts += dict.fromkeys(
            f"{_SUFFIX.sub('', place.file)}:{_GENERATED.sub('#', name)}"
            for place, name in own
            if name.rpartition(".")[2] not in _INLINED
        )
        digest = hashlib.blake2b("\0".join(texts).encode("utf-8", "backslashreplace"), digest_size=8).digest()
        place = f"{own[-1][0].file} in {own[-1][1]}" if own else ""
        return Group(int.from_bytes(digest, "big") >> 1 or 1, kind, place)


def codes_of(error: BaseException) -> list[CodeType]:
    """Return what the frames of a traceback run, outermost first."""
    codes: list[CodeType] = []
    traceback = error.__traceback__
    add = codes.append
    for _ in range(MOST_FRAMES):
        if traceback is None:
            break
        add(traceback.tb_frame.f_code)
        traceback = traceback.tb_next
    return codes


def type_name(kind: type) -> str:
    """Return the name of a type, as one writes it in code."""
    module = getattr(kind, "__module__", None)
    name = getattr(kind, "__qualname__", kind.__name__)
    return name if module in {None, "builtins", "__main__"} else f"{module}.{name}"


def qualified_name(code: CodeType) -> str:
    """Return a function's name with its class, where the interpreter knows it."""
    return getattr(code, "co_qualname", code.co_name)


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions that an ``ExceptionGroup`` holds."""
    groups: Any = getattr(sys.modules["builtins"], "BaseExceptionGroup", None)
    if groups is None:  # Python 3.10, where a package of that name may stand in
        groups = getattr(sys.modules.get("exceptiongroup"), "BaseExceptionGroup", None)
    if groups is None or not isinstance(error, groups):
        return ()
    members: tuple[BaseException, ...] = error.exceptions
    return members


def _member_types(error: BaseException) -> tuple[str, ...]:
    """Return the types in an exception group: how many of each there are, and in which order, is chance."""
    members = members_of(error)
    if not members:
        return ()
    return tuple(sorted({type_name(type(member)) for member in members[:_MOST_MEMBERS]}))
