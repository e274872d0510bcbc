"""Every callback goes through here, with a role, an error boundary and a stopwatch.

A page says what it shows; that only somebody with the role gets to see it, that a failure stays within its
card and never shows a traceback, and that the time it took is known, is said once, here.
"""

from __future__ import annotations

import functools
import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from dash import ClientsideFunction, Input, Output, State, no_update, set_props
from dash.exceptions import PreventUpdate
from werkzeug.exceptions import HTTPException

from fmd_otel_dash import ids
from fmd_otel_dash.roles import GUEST, Role

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from fmd_otel_dash.view import View

log = logging.getLogger(__name__)

CallbackFunction = Callable[..., Any]
Failed = Callable[[str, str], Any]
"""What to show for a message and the id of the request that failed."""


class Surroundings(Protocol):
    """What the registry needs to know about the request at hand; the factory provides it."""

    def view(self, data: dict[str, Any] | None) -> View:
        """Return the view of the signed-in person; aborts the request if there is none."""

    def require(self, role: Role) -> None:
        """Abort the request with 403 unless the signed-in person has the role."""

    def timing(self, name: str, duration_ms: float) -> None:
        """Tell the browser, and whoever counts, how long something took."""


@dataclass(frozen=True)
class Registered:
    """One callback, for tests and for whoever wants to know."""

    output: str
    role: Role
    name: str
    on_demand: bool
    """Whether it runs only when somebody does something."""


class Registry:
    """Registers callbacks on one Dash app."""

    def __init__(
        self,
        app: Dash,
        surroundings: Surroundings,
        error_view: Callable[[str, str, str], Component],
    ) -> None:
        """Bind to an app.

        Args:
            app: the dashboard's own Dash app.
            surroundings: who is asking.
            error_view: draws a failed card from its id, a message and a request id.
        """
        self._app = app
        self._surroundings = surroundings
        self._error_view = error_view
        self.registered: list[Registered] = []

    def card(
        self, card_id: str, *extra: Input | State, role: Role = GUEST
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Fill a card: ``fn(view, *values_of_extra)`` returns what it shows.

        Runs when the page opens, when range, filters or zone change, on refresh, and on "Try again". While it
        runs the card keeps what it showed. When it fails, the card says so.
        """

        def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
            def show(view: View, _retried: Any, *values: Any) -> Any:
                return fn(view, *values)

            def failed(message: str, request_id: str) -> Any:
                return self._error_view(card_id, message, request_id)

            self._register(
                Output(ids.body(card_id), "children"),
                [Input(ids.VIEW, "data"), Input(ids.retry(card_id), "data"), *extra],
                functools.wraps(fn)(show),
                role=role,
                failed=failed,
            )
            return fn

        return decorate

    def callback(
        self,
        *dependencies: Output | Input | State,
        role: Role,
        prevent_initial_call: bool = True,
        failed: Failed | None = None,
    ) -> Callable[[CallbackFunction], CallbackFunction]:
        """Register any other callback: ``fn(view, *values)``.

        The view comes from the address as it is now, and does not trigger the callback. A callback that
        changes something needs ``role="admin"``: the server asks, whatever the page shows. When it fails,
        nothing changes but the notice, unless ``failed`` has a better idea.
        """
        outputs = [each for each in dependencies if isinstance(each, Output)]
        inputs = [each for each in dependencies if not isinstance(each, Output)]

        def only_said(message: str, request_id: str) -> Any:
            set_props(ids.NOTICE, {"children": f"{message} (request {request_id})"})
            return no_update if len(outputs) == 1 else [no_update] * len(outputs)

        def decorate(fn: CallbackFunction) -> CallbackFunction:
            # The view goes first among the arguments, wherever it stands among the dependencies.
            self._register(
                outputs[0] if len(outputs) == 1 else outputs,
                [State(ids.VIEW, "data"), *inputs],
                fn,
                role=role,
                failed=failed or only_said,
                prevent_initial_call=prevent_initial_call,
            )
            return fn

        return decorate

    def clientside(
        self,
        function: str,
        *dependencies: Output | Input | State,
        prevent_initial_call: bool = False,
    ) -> None:
        """Register a function of the assets' ``dash_clientside.fmd``; it runs in the browser."""
        outputs = [each for each in dependencies if isinstance(each, Output)]
        inputs = [each for each in dependencies if not isinstance(each, Output)]
        self._app.clientside_callback(  # type: ignore[no-untyped-call] # Dash is half typed
            ClientsideFunction("fmd", function),
            outputs[0] if len(outputs) == 1 else outputs,
            *inputs,
            prevent_initial_call=prevent_initial_call,
        )

    def _register(  # noqa: PLR0913 - what cards and other callbacks differ in
        self,
        outputs: Output | Sequence[Output],
        dependencies: list[Input | State],
        fn: CallbackFunction,
        *,
        role: Role,
        failed: Failed,
        prevent_initial_call: bool | str = False,
    ) -> None:
        name = f"{fn.__module__.rpartition('.')[2]}.{fn.__name__}"
        known = set(self._app.callback_map)
        asks = [isinstance(each, Input) for each in dependencies[1:]]

        @self._app.callback(outputs, dependencies, prevent_initial_call=prevent_initial_call)
        @functools.wraps(fn)
        def guarded(data: dict[str, Any] | None, *values: Any) -> Any:
            if prevent_initial_call and not _asked(values, asks):
                raise PreventUpdate
            self._surroundings.require(role)
            started = time.perf_counter()
            try:
                return fn(self._surroundings.view(data), *values)
            except (PreventUpdate, HTTPException):
                raise
            except Exception as error:  # the boundary: one card fails, the page stays
                request_id = secrets.token_hex(4)
                log.warning("Callback %s failed (request %s)", name, request_id, exc_info=error)
                return failed(_message(error), request_id)
            finally:
                self._surroundings.timing(name, (time.perf_counter() - started) * 1000)

        (output,) = set(self._app.callback_map) - known
        self.registered.append(Registered(output, role, name, bool(prevent_initial_call)))


def _asked(values: tuple[Any, ...], asks: list[bool]) -> bool:
    """Tell whether somebody did something: Dash calls, too, when an input appears after its outputs."""
    return any(value is not None for value, is_input in zip(values, asks, strict=True) if is_input)


def _message(error: Exception) -> str:
    """Return what a person may read: our own errors are written for them, others stay in the log."""
    from fmd_otel_exporter.errors import FmdOtelError  # noqa: PLC0415 - only when something went wrong

    if isinstance(error, FmdOtelError):
        return str(error)
    return "Something went wrong here; the log of the dashboard has the details."
