"""Something to call that a configuration names, ``module:function``, imported when it is needed."""

from __future__ import annotations

import importlib
import sys
from importlib.util import find_spec
from typing import Any


class Named:
    """A function somewhere else.

    It is imported by the first request. At start the module may be the very one that is being imported, or,
    under ``opentelemetry-instrument``, one that has to come after the instrumentation it would bring to life
    too early.
    """

    def __init__(self, text: str) -> None:
        """Take ``module:function`` apart.

        Raises:
            ValueError: It is nothing of the kind.
        """
        self.module, colon, self.attribute = (part.strip() for part in text.partition(":"))
        if not colon or not all(
            part.isidentifier() for part in [*self.module.split("."), *self.attribute.split(".")]
        ):
            raise ValueError("expected module:function, such as shop.users:current_user_id")
        self._found: Any = None
        self._is_found = False

    def check(self) -> None:
        """Find out what can be found out without importing anything.

        Raises:
            ValueError: There is no such module or function.
        """
        module = sys.modules.get(self.module)
        if module is None:
            parent = self.module.rpartition(".")[0]
            known = self.module if not parent or parent in sys.modules else self.module.partition(".")[0]
            if find_spec(known) is None:
                raise ValueError(f"there is no module {known!r} on the import path")
        elif not getattr(getattr(module, "__spec__", None), "_initializing", False):
            self._look_up(module)

    def __call__(self, *args: Any) -> Any:
        """Return what the function returns, or what is there if it is no function."""
        if not self._is_found:
            self._found = self._look_up(importlib.import_module(self.module))
            self._is_found = True
        return self._found(*args) if callable(self._found) else self._found

    def call(self, *args: Any) -> Any:
        """Return what the function returns; unlike a call of this object, a plain value is an error.

        Raises:
            TypeError: What is there is no function.
        """
        if not self._is_found:
            self._found = self._look_up(importlib.import_module(self.module))
            self._is_found = True
        if not callable(self._found):
            raise TypeError(f"{self!r} is no function")
        return self._found(*args)

    def __repr__(self) -> str:
        """Write it as the configuration does."""
        return f"{self.module}:{self.attribute}"

    def _look_up(self, module: Any) -> Any:
        found = module
        for part in self.attribute.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:  # noqa: PERF203 # twice a process
                raise ValueError(f"module {self.module!r} has no {self.attribute!r}") from None
        return found
