"""A dashboard on an empty database, people signed in to it, and a way to speak to it as a browser does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.security import generate_password_hash
from werkzeug.test import Client

from fmd_otel_dash.auth import sessions, users
from fmd_otel_dash.auth.gate import COOKIE
from fmd_otel_dash.factory import Dashboard
from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings
from tests.new_databases import new_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fmd_otel_exporter.store import Store

PASSWORD = "correct horse battery"
PREFIX = "/dashboard"
# A real hash takes a third of a second to check, on purpose; tests check hundreds.
CHEAP = generate_password_hash(PASSWORD, method="scrypt:1024:8:1")


class Visitor(Client):
    """A browser's view of the dashboard: whole addresses, its cookies, and callbacks by their output."""

    def __init__(self, dashboard: Dashboard) -> None:
        super().__init__(dashboard.wsgi)
        self.dashboard = dashboard

    def follow(self, path: str, **kwargs: Any) -> Any:
        """Get a page of the dashboard."""
        return self.get(PREFIX + path, **kwargs)

    def call(
        self, output: str, values: dict[str, Any] | None = None, *, triggered: str = "", **kwargs: Any
    ) -> Any:
        """Send a callback as Dash's renderer does; what is not named in ``values`` is sent as null."""
        values = values or {}
        spec = next(each for each in self.dashboard.dash._callback_list if each["output"] == output)

        def filled(dependencies: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return [
                {**each, "value": values.get(f"{each['id']}.{each['property']}")} for each in dependencies
            ]

        inputs = filled(spec["inputs"])
        body = {
            "output": output,
            "outputs": outputs_of(output),
            "inputs": inputs,
            "state": filled(spec["state"]),
            "changedPropIds": [triggered or f"{inputs[0]['id']}.{inputs[0]['property']}"],
        }
        return self.post(f"{PREFIX}/_dash-update-component", json=body, **kwargs)


def outputs_of(output: str) -> Any:
    """Return a callback's outputs as the renderer lists them."""
    if not output.startswith(".."):
        name, _, prop = output.rpartition(".")
        return {"id": name, "property": prop}
    return [outputs_of(each) for each in output.strip(".").split("...")]


def output_of(dashboard: Dashboard, part: str) -> str:
    """Return the whole id of the callback that has this output."""
    return next(each for each in dashboard.dash.callback_map if part in each)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = new_store(tmp_path / "fmd.db")
    yield opened
    opened.dispose()


@pytest.fixture
def add_user(store: Store) -> Callable[..., Any]:
    def add(name: str = "ada", role: str = "admin") -> Any:
        with store.write() as connection:
            return users.add(connection, store.tables, name, CHEAP, role)

    return add


@pytest.fixture
def make_dashboard(store: Store) -> Callable[..., Dashboard]:
    def make(**settings: Any) -> Dashboard:
        return Dashboard(Services(DashboardSettings(database=store.url, **settings), store=store))

    return make


@pytest.fixture
def dashboard(make_dashboard: Callable[..., Dashboard], add_user: Callable[..., Any]) -> Dashboard:
    add_user("ada", "admin")
    add_user("bob", "guest")
    return make_dashboard()


@pytest.fixture
def visitor(dashboard: Dashboard) -> Visitor:
    """Somebody who has not signed in."""
    return Visitor(dashboard)


@pytest.fixture
def sign_in(dashboard: Dashboard, store: Store) -> Callable[[str], Visitor]:
    def as_(name: str) -> Visitor:
        with store.write() as connection:
            found = users.find(connection, store.tables, name)
            assert found
            token = sessions.start(connection, store.tables, found.user.id)
        visitor = Visitor(dashboard)
        visitor.set_cookie(COOKIE, token, path=PREFIX)
        return visitor

    return as_


@pytest.fixture
def admin(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("ada")


@pytest.fixture
def guest(sign_in: Callable[[str], Visitor]) -> Visitor:
    return sign_in("bob")


@pytest.fixture
def password() -> str:
    return PASSWORD


@pytest.fixture
def find_output() -> Callable[[Dashboard, str], str]:
    return output_of
