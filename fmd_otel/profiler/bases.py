"""Where a request begins on the stack of a thread."""

from __future__ import annotations

from fmd_otel.body import Body
from fmd_otel.recorder import Recorder

BASES = frozenset(
    id(function.__code__)
    for function in (Recorder.__call__, Recorder._serve_inner, Body.__next__, Body.close)  # noqa: SLF001 # ours
)
"""Identities of the functions that hand over to the application; frames further out are the server's."""
