"""A Dash app that leaves no trace in Dash.

Dash supports one app per process: what callbacks, paths and hooks there are is kept in module globals, which
the monitored app, if it is a Dash app itself, is using. The only module that knows Dash's private names; a
test fails when one of them moves.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dash import Dash, _callback, _configs, _get_app, _get_paths, _hooks, _pages, dcc
from dash._utils import AttributeDict
from dash.backends._flask import FlaskDashServer
from dash.development.base_component import ComponentRegistry
from flask.app import Flask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = ("dash_mantine_components", "dash_ag_grid")
"""Component libraries that our pages load; the host's stay out of them."""

# Module, name, and what our app gets to see instead.
_GLOBALS: tuple[tuple[Any, str, Callable[[], Any]], ...] = (
    (_callback, "GLOBAL_CALLBACK_MAP", dict),
    (_callback, "GLOBAL_CALLBACK_LIST", list),
    (_callback, "GLOBAL_INLINE_SCRIPTS", list),
    (_callback, "GLOBAL_API_PATHS", dict),
    (_get_paths, "CONFIG", AttributeDict),
    (_pages, "CONFIG", AttributeDict),
    (_get_app, "APP", lambda: None),
    # DASH_* variables speak of the host's app.
    (_configs, "load_dash_env_vars", lambda: _no_environment),
    (dcc, "_js_dist", lambda: list(dcc._js_dist)),  # noqa: SLF001 # Dash appends its plotly.js
    (ComponentRegistry, "registry", lambda: _ours(ComponentRegistry.registry)),
)
_lock = threading.Lock()


class PlainFlaskBackend(FlaskDashServer):
    """Dash's Flask backend on a Flask that no instrumentation has replaced."""

    @staticmethod
    def create_app(name: str = "__main__", config: dict[str, Any] | None = None) -> Flask:
        """Return a Flask app; ``flask.Flask`` may be a traced subclass, ``flask.app.Flask`` never is."""
        app = Flask(name)
        app.config.update(config or {})
        return app


class _NoHooks(_hooks.HooksManager):
    """Hooks of our own, and there are none: any installed package may add some for all apps of a process."""

    hooks = _hooks._Hooks()  # noqa: SLF001 # this module knows the private names
    _registered = True


class IsolatedDash(Dash):
    """Dash, built within :func:`quarantine`, and needing none of the globals afterwards."""

    def _setup_hooks(self) -> None:
        self._hooks = _NoHooks

    def _config(self) -> dict[str, Any]:
        """Return what the browser needs to know: not which Python this is, nor where to ask for updates."""
        config: dict[str, Any] = super()._config()  # type: ignore[no-untyped-call] # Dash is half typed
        return config | {"python_version": "", "dash_version_url": "", "disable_version_check": True}

    def freeze(self) -> str:
        """Do now what Dash does at the first request, and render the page once and for all.

        Returns:
            The index page. It holds no data: layouts do not go into it (``suppress_callback_exceptions``).
        """
        self._setup_server()  # type: ignore[no-untyped-call] # Dash is half typed
        index: str = super().index()  # type: ignore[no-untyped-call] # the same
        self._index_page = index
        return index

    def index(self, *_args: Any, **_kwargs: Any) -> str:
        """Return the page that :meth:`freeze` made: rendering it again would read the globals again."""
        page: str = self._index_page
        return page


@contextmanager
def quarantine() -> Iterator[None]:
    """Replace Dash's globals by empty ones, and put the host's back afterwards."""
    with _lock:
        saved = [(module, name, getattr(module, name)) for module, name, _ in _GLOBALS]
        stand_ins = [(module, name, make()) for module, name, make in _GLOBALS]
        try:
            for module, name, value in stand_ins:
                setattr(module, name, value)
            yield
        finally:
            for module, name, value in saved:
                setattr(module, name, value)


def _no_environment() -> Any:
    return AttributeDict(dict.fromkeys(_configs.DASH_ENV_VARS))


def _ours(registry: Any) -> Any:
    kept = type(registry)()
    for name in registry:
        if name in LIBRARIES or name == "dash" or name.startswith("dash."):
            kept.add(name)
    return kept
