"""What the dashboard can be told. Light: importing this imports neither Dash nor SQLAlchemy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fmd_otel_dash.auth_settings import AuthSettings
from fmd_otel_exporter.settings import RETENTION_DAYS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_exporter.level_rule import LevelRule

DEFAULT_BRAND = "Flask Monitoring Dashboard"
DEFAULT_TITLE = "Flask-MonitoringDashboard"
DEFAULT_DESCRIPTION = "Automatically monitor the evolving performance of Flask/Python web services"


@dataclass(frozen=True)
class DashboardSettings:
    """Settings of one dashboard, checked already by whoever composed them."""

    database: str = "sqlite:///fmd_otel.db"
    table_prefix: str = "fmd"
    url_prefix: str = "/dashboard"
    """Where the dashboard lives, as a browser sees it; empty for the root."""
    brand_name: str = DEFAULT_BRAND
    title_name: str = DEFAULT_TITLE
    description: str = DEFAULT_DESCRIPTION
    show_login_banner: bool = True
    show_login_footer: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    """Used once, to create the first user; never stored in clear."""
    security_token: str | None = field(default=None, repr=False)
    """Opens the API to programs; without it, only those who are signed in may use it."""
    auth: AuthSettings = field(default_factory=AuthSettings)
    timezone: str | None = None
    colors: Mapping[str, str] = field(default_factory=dict)
    """Endpoint name to a colour: ``#rrggbb`` or the ``[r,g,b]`` of older configuration files."""
    editor_link: str = ""
    """Address that opens a line of code in an editor, with ``{path}`` and ``{line}`` in it."""
    default_level: int = 1
    default_rules: tuple[LevelRule, ...] = ()
    """Levels of endpoints by the pattern of their names, where no rule of the Configuration page decides."""
    retention_raw_days: int = RETENTION_DAYS["retention_raw_days"]
    """As the dashboard was told; applications may have been told otherwise, and it is they who delete."""
    retention_hourly_days: int = RETENTION_DAYS["retention_hourly_days"]
    retention_daily_days: int = RETENTION_DAYS["retention_daily_days"]
    spool_dir: str | None = None
    spool_mb: int = 64
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Who said so, by the upper-case name of a setting; what is missing stands at its default."""
    effective: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    """Every setting there is, also those of no concern to the dashboard: name, value without secrets, and who
    said so. Empty where nobody has composed them."""

    @property
    def prefix(self) -> str:
        """``url_prefix`` with one leading slash and none behind: ``/dashboard``, or nothing for the root."""
        path = self.url_prefix.strip("/")
        return f"/{path}" if path else ""

    def url(self, path: str) -> str:
        """Return the address of a page of the dashboard: ``url("/login")`` is ``/dashboard/login``."""
        return f"{self.prefix}/{path.lstrip('/')}"
