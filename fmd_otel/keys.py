"""Every setting there is: its name, its section in a file, how it is read and what it is by default."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmd_otel import parsers
from fmd_otel_exporter.errors import safe_text, safe_url
from fmd_otel_exporter.level_rule import MAX_LEVEL
from fmd_otel_exporter.settings import DEFAULT_DATABASE, MOST_DAYS, RETENTION_DAYS

if TYPE_CHECKING:
    from collections.abc import Callable

ENV_PREFIX = "FMD_OTEL_"
ENV_CONFIG = "FMD_OTEL_CONFIG"
"""The variable that names the configuration file."""

SECTIONS = ("dashboard", "authentication", "database", "visualization")
UNSUPPORTED_SECTION = "alerting"
"""A section that Flask-MonitoringDashboard 5.1 reads: its keys are let through with one warning."""


@dataclass(frozen=True)
class Key:
    """One setting."""

    name: str
    """As in a configuration file; the keyword is its lower case, the variable ``FMD_OTEL_`` and this."""
    section: str | None
    """None: not for configuration files, only for variables and keywords."""
    parse: Callable[[Any], Any]
    default: Any
    help: str
    secret: bool = False
    parse_text: Callable[[Any], Any] | None = None
    """Where text from outside means something else than a Python string given in code."""
    note: str | None = None
    """Said once when somebody sets a key that has no effect (any more)."""

    @property
    def keyword(self) -> str:
        """The name as a keyword argument and as an attribute of ``Settings``."""
        return self.name.lower()

    @property
    def variable(self) -> str:
        """The environment variable."""
        return ENV_PREFIX + self.name


_NO_EFFECT = "{} has no effect: create guests under Users in the dashboard instead"

KEYS: tuple[Key, ...] = (
    Key("APP_VERSION", "dashboard", parsers.text, None, "version of the monitored application"),
    Key("GIT", "dashboard", parsers.path, None, "repository whose commit is the version"),
    Key("BLUEPRINT_NAME", "dashboard", parsers.text, "dashboard", "accepted, and has no effect"),
    Key("CUSTOM_LINK", "dashboard", parsers.link, "dashboard", "path under which the dashboard is mounted"),
    Key(
        "MONITOR_LEVEL",
        "dashboard",
        parsers.whole_number(0, MAX_LEVEL),
        1,
        "level of endpoints nobody set one for",
    ),
    Key(
        "MONITOR_RULES",
        "dashboard",
        parsers.level_rules,
        (),
        "levels of endpoints by the pattern of their names",
    ),
    Key(
        "OUTLIER_DETECTION_CONSTANT",
        "dashboard",
        parsers.number_above(0, 1_000_000),
        2.5,
        "a request this many times slower than usual is an outlier",
    ),
    Key(
        "OUTLIER_MIN_REQUESTS",
        "dashboard",
        parsers.whole_number(1, 1_000_000),
        20,
        "requests of an endpoint before any of them can be an outlier",
    ),
    Key(
        "SCRUB_KEYS",
        "dashboard",
        parsers.names,
        (),
        "more names whose values are taken out of what is stored",
    ),
    Key(
        "EXCEPTION_LOCALS",
        "dashboard",
        parsers.boolean,
        default=False,
        help="keep the local variables of an exception's frames, scrubbed",
    ),
    Key(
        "SAMPLING_PERIOD",
        "dashboard",
        parsers.number_above(0, 60_000),
        10.0,
        "milliseconds between two profiler samples",
    ),
    Key(
        "PROFILE_RATE",
        "dashboard",
        parsers.whole_number(0, 10_000),
        10,
        "requests of one endpoint that a process profiles in a second at the most; 0: all",
    ),
    Key(
        "ENABLE_LOGGING",
        "dashboard",
        parsers.boolean,
        default=False,
        help="print what fmd-otel does to the console",
    ),
    Key("BRAND_NAME", "dashboard", parsers.text, "Flask Monitoring Dashboard", "name in the navigation bar"),
    Key("TITLE_NAME", "dashboard", parsers.text, "Flask-MonitoringDashboard", "name in the browser's tab"),
    Key(
        "DESCRIPTION",
        "dashboard",
        parsers.text,
        "Automatically monitor the evolving performance of Flask/Python web services",
        "text beside the name",
    ),
    Key(
        "SHOW_LOGIN_BANNER",
        "dashboard",
        parsers.boolean,
        default=True,
        help="logo and title on the login page",
    ),
    Key(
        "SHOW_LOGIN_FOOTER",
        "dashboard",
        parsers.boolean,
        default=True,
        help="link to the documentation on the login page",
    ),
    Key("USERNAME", "authentication", parsers.text, None, "the first user's name"),
    Key("PASSWORD", "authentication", parsers.text, None, "the first user's password", secret=True),
    Key(
        "GUEST_USERNAME",
        "authentication",
        parsers.as_given,
        None,
        "accepted, and has no effect",
        note=_NO_EFFECT.format("GUEST_USERNAME"),
    ),
    Key(
        "GUEST_PASSWORD",
        "authentication",
        parsers.as_given,
        None,
        "accepted, and has no effect",
        secret=True,
        note=_NO_EFFECT.format("GUEST_PASSWORD"),
    ),
    Key("SECURITY_TOKEN", "authentication", parsers.token, None, "token for exporting data", secret=True),
    Key("AUTH_LOGIN_URL", "authentication", parsers.web_address, None, "where AUTH's strangers sign in"),
    Key(
        "AUTH_LOGOUT_URL", "authentication", parsers.web_address, None, "where AUTH's and a proxy's sign out"
    ),
    Key("AUTH_PROXY_HEADER", "authentication", parsers.header_name, None, "header in which a proxy says who"),
    Key("AUTH_PROXY_TRUSTED", "authentication", parsers.peers, (), "addresses that may send this header"),
    Key("AUTH_PROXY_ROLE_HEADER", "authentication", parsers.header_name, None, "header with role or groups"),
    Key("AUTH_ADMINS", "authentication", parsers.names, (), "who is an admin, of those signed in elsewhere"),
    Key("AUTH_ADMIN_GROUPS", "authentication", parsers.names, (), "groups whose members are admins"),
    Key("AUTH_GUEST_GROUPS", "authentication", parsers.names, (), "groups whose members are guests; *: all"),
    Key("OIDC_DISCOVERY_URL", "authentication", parsers.discovery_url, None, "OpenID Connect provider"),
    Key("OIDC_CLIENT_ID", "authentication", parsers.text, None, "the dashboard's name at the provider"),
    Key("OIDC_CLIENT_SECRET", "authentication", parsers.text, None, "its password there", secret=True),
    Key("OIDC_GROUPS_CLAIM", "authentication", parsers.text, "groups", "claim that holds the groups"),
    Key(
        "OIDC_SCOPES",
        "authentication",
        parsers.text,
        "openid profile email",
        "what the provider is asked for",
    ),
    Key(
        "OIDC_REDIRECT_URL",
        "authentication",
        parsers.web_address,
        None,
        "address of /oidc/callback from outside",
    ),
    Key("TABLE_PREFIX", "database", parsers.table_prefix, "fmd", "beginning of every table's name"),
    Key("DATABASE", "database", parsers.database, DEFAULT_DATABASE, "SQLAlchemy URL of the database"),
    *(
        Key(
            name.upper(),
            "database",
            parsers.whole_number(0, MOST_DAYS),
            RETENTION_DAYS[name],
            f"days for which {what} are kept; 0: for ever",
        )
        for name, what in (
            ("retention_raw_days", "single requests"),
            ("retention_hourly_days", "sums by the hour"),
            ("retention_daily_days", "sums by the day"),
        )
    ),
    Key("TIMEZONE", "visualization", parsers.timezone, None, "time zone of charts; unset: the browser's"),
    Key("COLORS", "visualization", parsers.colors, {}, "colours of endpoints"),
    Key(
        "EDITOR_LINK",
        "visualization",
        parsers.editor_link,
        None,
        "opens a line of code: vscode://file/{path}:{line}",
    ),
    Key(
        "GROUP_BY",
        None,
        parsers.as_given,
        None,
        "what requests are grouped by, usually the user",
        parse_text=parsers.callable_or_name,
    ),
    Key(
        "GET_IP",
        None,
        parsers.callable_or_name,
        None,
        "function that returns the client's address",
        parse_text=parsers.callable_or_name,
    ),
    Key(
        "SCRUB",
        None,
        parsers.callable_or_name,
        None,
        "function that has the last word on what is stored of a request",
        parse_text=parsers.callable_or_name,
    ),
    Key(
        "AUTH",
        None,
        parsers.callable_or_name,
        None,
        "function that tells who may see the dashboard, and as what",
        parse_text=parsers.callable_or_name,
    ),
    Key(
        "INCLUDE_DASHBOARD",
        None,
        parsers.boolean,
        default=True,
        help="mount the dashboard in the application",
    ),
    Key(
        "QUEUE_SIZE",
        None,
        parsers.whole_number(1, 1_000_000),
        8192,
        "requests that may wait for the database",
    ),
    Key("BATCH_SIZE", None, parsers.whole_number(1, 10_000), 512, "requests written in one transaction"),
    Key(
        "DELAY_MS",
        None,
        parsers.whole_number(10, 60_000),
        500,
        "longest time a request waits for others to share its transaction",
    ),
    Key("SPOOL_DIR", None, parsers.text, None, "where requests wait for the database, on disk"),
    Key(
        "SPOOL_MB",
        None,
        parsers.whole_number(0, 1_000_000),
        64,
        "megabytes that may wait there; 0: in memory only",
    ),
)

BY_NAME = {key.name: key for key in KEYS}
BY_KEYWORD = {key.keyword: key for key in KEYS}

RENAMED = {"SAMPLING_RATE": "SAMPLING_PERIOD"}
"""Names that are too far from the right one to be found by spelling."""

ATTRIBUTES = {"version": "APP_VERSION", "link": "CUSTOM_LINK", "database_name": "DATABASE"}
"""How Flask-MonitoringDashboard's ``config`` object calls some keys; every other is the lower-case key."""


_SECRET_NAME = re.compile(r"PASS|PASWD|TOKEN|SECRET|PWD", re.IGNORECASE)
MASK = "***"


def safe_value(name: str, value: Any) -> str:
    """Return a value as a message may quote it: also a misspelt PASSWORD is followed by a password."""
    near = nearest_key(name)
    if _SECRET_NAME.search(name) or (near is not None and BY_NAME[near].secret):
        return MASK
    masked = safe_url if near == "DATABASE" else safe_text
    return repr(masked(value) if isinstance(value, str) else value)


def nearest_key(name: str, among: list[str] | None = None) -> str | None:
    """Return the key that was probably meant, in the spelling of a configuration file."""
    name = name.upper()
    return RENAMED.get(name) or parsers.nearest(name, among if among is not None else list(BY_NAME))
