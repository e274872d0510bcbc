"""All settings of one process, each with who said so."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmd_otel.keys import BY_NAME, ENV_PREFIX, KEYS, MASK, Key
from fmd_otel.named import Named
from fmd_otel_exporter.errors import SettingsError, safe_url
from fmd_otel_exporter.settings import RETENTION_DAYS, ExporterSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fmd_otel_dash.auth_settings import AuthSettings
    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_exporter.level_rule import LevelRule

DEFAULT_ORIGIN = "default"


@dataclass(frozen=True)
class Settings:
    """What is in force. ``origins`` tells for each key who said so."""

    app_version: str | None = None
    git: Path | None = None
    blueprint_name: str = "dashboard"
    custom_link: str = "dashboard"
    monitor_level: int = 1
    monitor_rules: tuple[LevelRule, ...] = ()
    outlier_detection_constant: float = 2.5
    outlier_min_requests: int = 20
    scrub_keys: tuple[str, ...] = ()
    exception_locals: bool = False
    sampling_period: float = 10.0
    """In milliseconds, as in the file."""
    profile_rate: int = 10
    enable_logging: bool = False
    brand_name: str = BY_NAME["BRAND_NAME"].default
    title_name: str = BY_NAME["TITLE_NAME"].default
    description: str = BY_NAME["DESCRIPTION"].default
    show_login_banner: bool = True
    show_login_footer: bool = True
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    guest_username: Any = field(default=None, repr=False)
    guest_password: Any = field(default=None, repr=False)
    security_token: str | None = field(default=None, repr=False)
    auth_login_url: str | None = None
    auth_logout_url: str | None = None
    auth_proxy_header: str | None = None
    auth_proxy_trusted: tuple[str, ...] = ()
    auth_proxy_role_header: str | None = None
    auth_admins: tuple[str, ...] = ()
    auth_admin_groups: tuple[str, ...] = ()
    auth_guest_groups: tuple[str, ...] = ()
    oidc_discovery_url: str | None = None
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = field(default=None, repr=False)
    oidc_groups_claim: str = "groups"
    oidc_scopes: str = "openid profile email"
    oidc_redirect_url: str | None = None
    table_prefix: str = "fmd"
    database: str = field(default=BY_NAME["DATABASE"].default, repr=False)
    timezone: str | None = None
    colors: Mapping[str, str] = field(default_factory=dict)
    editor_link: str | None = None
    group_by: Any = None
    get_ip: Any = None
    scrub: Any = None
    auth: Any = None
    include_dashboard: bool = True
    queue_size: int = 8192
    batch_size: int = 512
    delay_ms: int = 500
    spool_dir: str | None = None
    spool_mb: int = 64
    retention_raw_days: int = RETENTION_DAYS["retention_raw_days"]
    retention_hourly_days: int = RETENTION_DAYS["retention_hourly_days"]
    retention_daily_days: int = RETENTION_DAYS["retention_daily_days"]
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = field(default=(), repr=False)

    def exporter(self) -> ExporterSettings:
        """Return the part that says where requests go."""
        return ExporterSettings(
            database=self.database,
            table_prefix=self.table_prefix,
            default_level=self.monitor_level,
            default_rules=self.monitor_rules,
            queue_size=self.queue_size,
            batch_size=self.batch_size,
            delay_ms=self.delay_ms,
            spool_dir=self.spool_dir,
            spool_mb=self.spool_mb,
            retention_raw_days=self.retention_raw_days,
            retention_hourly_days=self.retention_hourly_days,
            retention_daily_days=self.retention_daily_days,
            reported=self._reported(),
        )

    def _reported(self) -> str:
        """Return what others may know of the settings that concern requests, as JSON."""
        return json.dumps(
            {
                key.name: (_text(value), origin)
                for key, value, origin in self.shown()
                if not key.secret and _concerns_requests(key)
            }
        )

    def dashboard(self) -> DashboardSettings:
        """Return the part that says how the dashboard looks and who may see it."""
        from fmd_otel_dash.settings import DashboardSettings  # noqa: PLC0415 # only where a dashboard is wanted  # only where a dashboard is wanted

        return DashboardSettings(
            database=self.database,
            table_prefix=self.table_prefix,
            url_prefix=f"/{self.custom_link}",
            brand_name=self.brand_name,
            title_name=self.title_name,
            description=self.description,
            show_login_banner=self.show_login_banner,
            show_login_footer=self.show_login_footer,
            username=self.username,
            password=self.password,
            security_token=self.security_token,
            auth=self._auth(),
            timezone=self.timezone,
            colors=self.colors,
            editor_link=self.editor_link or "",
            default_level=self.monitor_level,
            default_rules=self.monitor_rules,
            retention_raw_days=self.retention_raw_days,
            retention_hourly_days=self.retention_hourly_days,
            retention_daily_days=self.retention_daily_days,
            spool_dir=self.spool_dir,
            spool_mb=self.spool_mb,
            origins=self.origins,
            effective=tuple((key.name, _text(value), origin) for key, value, origin in self.shown()),
        )

    def _auth(self) -> AuthSettings:
        from fmd_otel_dash.auth_settings import AuthSettings, OidcSettings  # noqa: PLC0415 # as above

        oidc = self.oidc_discovery_url and OidcSettings(
            discovery_url=self.oidc_discovery_url,
            client_id=self.oidc_client_id or "",
            client_secret=self.oidc_client_secret or "",
            groups_claim=self.oidc_groups_claim,
            scopes=self.oidc_scopes,
            redirect_url=self.oidc_redirect_url,
        )
        return AuthSettings(
            oidc=oidc or None,
            # A constant in the place of the function would let everybody in.
            hook=self.auth.call if isinstance(self.auth, Named) else self.auth,
            login_url=self.auth_login_url,
            logout_url=self.auth_logout_url,
            proxy_header=self.auth_proxy_header,
            proxy_trusted=self.auth_proxy_trusted,
            proxy_role_header=self.auth_proxy_role_header,
            admins=self.auth_admins,
            admin_groups=self.auth_admin_groups,
            guest_groups=self.auth_guest_groups,
        )

    def check_callables(self) -> None:
        """See whether functions that are named exist, at the moment when the application could know them.

        Raises:
            SettingsError: They do not.
        """
        for name in ("GROUP_BY", "GET_IP", "SCRUB", "AUTH"):
            value = getattr(self, name.lower())
            if isinstance(value, Named):
                try:
                    value.check()
                except ValueError as error:
                    raise SettingsError(
                        f"{place(BY_NAME[name], value, self.origins.get(name, DEFAULT_ORIGIN))}: {error}"
                    ) from None

    def shown(self) -> Iterator[tuple[Key, Any, str]]:
        """Yield every key with its value, fit for being printed, and its origin."""
        for key in KEYS:
            yield key, shown(key, getattr(self, key.keyword)), self.origins.get(key.name, DEFAULT_ORIGIN)


_LOOKS = frozenset(
    {"BLUEPRINT_NAME", "CUSTOM_LINK", "BRAND_NAME", "TITLE_NAME", "DESCRIPTION", "AUTH", "INCLUDE_DASHBOARD",
     "SHOW_LOGIN_BANNER", "SHOW_LOGIN_FOOTER"}
)  # fmt: skip
"""Settings of the dashboard among those of requests."""


def _concerns_requests(key: Key) -> bool:
    return key.section not in ("authentication", "visualization") and key.name not in _LOOKS


def _text(value: Any) -> str:
    """Return a value, fit for being printed already, as a person reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return str(value)


def shown(key: Key, value: Any) -> Any:  # noqa: PLR0911 # one line for each kind of value
    """Return a value as it may be printed: secrets masked, objects by their name."""
    if value is None:
        return None
    if key.secret:
        return MASK
    if key.name == "DATABASE":
        return safe_url(str(value))
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, (Path, Named)):
        return str(value)
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}:{name}" if name and hasattr(value, "__module__") else repr(value)


def place(key: Key, value: Any, origin: str) -> str:
    """Name the place, key and value of a choice, without giving a secret away."""
    shown_value = shown(key, value)
    written = shown_value if shown_value == MASK else repr(shown_value)
    if origin.startswith(ENV_PREFIX):
        return f"environment variable {origin}={written}"
    if origin.startswith(("keyword ", "option ")):
        return f"{origin}={written}"
    if origin.startswith("fmd_otel.config"):
        return f"{origin} = {written}"
    return f"{origin}: [{key.section}] {key.name}={written}"
