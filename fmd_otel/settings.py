"""All settings of one process, composed from, weakest first: defaults, file, environment, code, keywords."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fmd_otel.configfile import ConfigFile, read_config_file
from fmd_otel.keys import (
    BY_KEYWORD,
    BY_NAME,
    ENV_CONFIG,
    ENV_PREFIX,
    KEYS,
    MASK,
    Key,
    nearest_key,
    safe_value,
)
from fmd_otel.named import Named
from fmd_otel.parsers import nearest
from fmd_otel_exporter.errors import SettingsError, safe_url
from fmd_otel_exporter.settings import ExporterSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fmd_otel_dash.settings import DashboardSettings

DEFAULT_ORIGIN = "default"

_KUBERNETES = re.compile(r"FMD_OTEL_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")
"""A service called fmd-otel makes Kubernetes put such variables into every container beside it."""


class Choice(NamedTuple):
    """A value somebody chose, before it is read."""

    key: Key
    value: Any
    origin: str
    is_text: bool
    """From a file or the environment, where everything is text."""


@dataclass(frozen=True)
class Settings:
    """What is in force. ``origins`` tells for each key who said so."""

    app_version: str | None = None
    git: Path | None = None
    blueprint_name: str = "dashboard"
    custom_link: str = "dashboard"
    monitor_level: int = 1
    outlier_detection_constant: float = 2.5
    sampling_period: float = 10.0
    """In milliseconds, as in the file."""
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
    table_prefix: str = "fmd"
    database: str = field(default=BY_NAME["DATABASE"].default, repr=False)
    timezone: str | None = None
    colors: Mapping[str, str] = field(default_factory=dict)
    group_by: Any = None
    get_ip: Any = None
    include_dashboard: bool = True
    queue_size: int = 8192
    batch_size: int = 512
    delay_ms: int = 500
    origins: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = field(default=(), repr=False)

    def exporter(self) -> ExporterSettings:
        """Return the part that says where requests go."""
        return ExporterSettings(
            database=self.database,
            table_prefix=self.table_prefix,
            default_level=self.monitor_level,
            queue_size=self.queue_size,
            batch_size=self.batch_size,
            delay_ms=self.delay_ms,
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
            timezone=self.timezone,
            colors=self.colors,
            default_level=self.monitor_level,
        )

    def check_callables(self) -> None:
        """See whether functions that are named exist, at the moment when the application could know them.

        Raises:
            SettingsError: They do not.
        """
        for name in ("GROUP_BY", "GET_IP"):
            value = getattr(self, name.lower())
            if isinstance(value, Named):
                try:
                    value.check()
                except ValueError as error:
                    origin = self.origins.get(name, DEFAULT_ORIGIN)
                    raise SettingsError(f"{_place(BY_NAME[name], value, origin)}: {error}") from None

    def shown(self) -> Iterator[tuple[Key, Any, str]]:
        """Yield every key with its value, fit for being printed, and its origin."""
        for key in KEYS:
            yield key, shown(key, getattr(self, key.keyword)), self.origins.get(key.name, DEFAULT_ORIGIN)


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
    if isinstance(value, (Path, Named)):
        return str(value)
    name = getattr(value, "__qualname__", None)
    return f"{value.__module__}:{name}" if name and hasattr(value, "__module__") else repr(value)


def load_settings(
    keywords: Mapping[str, Any] | None = None,
    *,
    in_code: Mapping[str, Any] | None = None,
    file: ConfigFile | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Compose the settings.

    Args:
        keywords: Arguments of ``instrument()``, lower case; the strongest. ``config`` names a file.
        in_code: What was assigned to ``fmd_otel.config``, by key name.
        file: A file that is read already; without one, ``FMD_OTEL_CONFIG`` names it.
        environ: Instead of the process's environment.

    Raises:
        SettingsError: With every problem found, each naming its place, its value and the remedy.
    """
    environ = os.environ if environ is None else environ
    keywords = dict(keywords or {})
    problems: list[str] = []
    warnings: list[str] = []
    if (named := keywords.pop("config", None)) is not None:
        file = read_config_file(named)
    elif file is None and environ.get(ENV_CONFIG, "").strip():
        try:
            file = read_config_file(environ[ENV_CONFIG].strip())
        except SettingsError as error:
            raise SettingsError(f"{error} (named by the variable {ENV_CONFIG})") from None
    choices: list[Choice] = []
    if file is not None:
        problems += file.problems
        warnings += file.warnings
        choices += _from_file(file)
    choices += _from_environment(environ, problems)
    choices += [Choice(BY_NAME[name], value, f"fmd_otel.config.{name.lower()}", is_text=False)
                for name, value in (in_code or {}).items()]  # fmt: skip
    choices += _from_keywords(keywords, problems)

    values, origins = _read(choices, problems)
    _cross_check(values, origins, problems)
    if problems:
        raise SettingsError(problems[0] if len(problems) == 1 else "\n".join(["settings:", *problems]))
    warnings += [f"{origins[key.name]}: {key.note}" for key in KEYS if key.note and key.name in origins]
    if "APP_VERSION" in origins and "GIT" in origins:
        warnings.append(
            f"APP_VERSION ({origins['APP_VERSION']}) and GIT ({origins['GIT']}) are both set: "
            "APP_VERSION is used; remove it to have the commit"
        )
    if "git" in values:
        values["git"] = _git_path(values["git"], origins["GIT"], file)
    return Settings(**values, origins=MappingProxyType(origins), warnings=tuple(warnings))


def _from_file(file: ConfigFile) -> Iterator[Choice]:
    for item in file.values:
        if item.text.strip():
            yield Choice(BY_NAME[item.key], item.text, f"{file.path}:{item.line}", is_text=True)


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[Choice]:
    for variable in sorted(environ):
        if not variable.startswith(ENV_PREFIX) or variable == ENV_CONFIG or _KUBERNETES.fullmatch(variable):
            continue
        value = environ[variable]
        key = BY_NAME.get(variable.removeprefix(ENV_PREFIX))
        if key is None:
            near = nearest_key(variable.removeprefix(ENV_PREFIX), [*BY_NAME, "CONFIG"])
            hint = f"did you mean {ENV_PREFIX}{near}?" if near else "`fmd-otel config` lists all of them"
            problems.append(
                f"environment variable {variable}={safe_value(variable, value)}: unknown setting; {hint}"
            )
        elif value.strip():
            yield Choice(key, value, variable, is_text=True)


def _from_keywords(keywords: Mapping[str, Any], problems: list[str]) -> Iterator[Choice]:
    for keyword, value in keywords.items():
        key = BY_KEYWORD.get(keyword)
        if key is None:
            near = nearest_key(keyword) or nearest(keyword, ["CONFIG"])
            hint = f"did you mean {near.lower()}?" if near else f"the keywords are {', '.join(BY_KEYWORD)}"
            problems.append(f"keyword {keyword}={safe_value(keyword, value)}: unknown setting; {hint}")
        elif value is not None:
            yield Choice(key, value, f"keyword {keyword}", is_text=False)


def _read(choices: list[Choice], problems: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read every choice, so that a wrong one is told even where a stronger one hides it."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key, value, origin, is_text in choices:
        parse = key.parse_text if is_text and key.parse_text is not None else key.parse
        try:
            values[key.keyword] = parse(value)
        except ValueError as error:
            problems.append(f"{_place(key, value, origin)}: {error}")
        else:
            origins[key.name] = origin
    return values, origins


def _place(key: Key, value: Any, origin: str) -> str:
    """Name the place, key and value of a choice, without giving a secret away."""
    shown_value = shown(key, value)
    written = shown_value if shown_value == MASK else repr(shown_value)
    if origin.startswith(ENV_PREFIX):
        return f"environment variable {origin}={written}"
    if origin.startswith("keyword "):
        return f"{origin}={written}"
    if origin.startswith("fmd_otel.config"):
        return f"{origin} = {written}"
    return f"{origin}: [{key.section}] {key.name}={written}"


def _cross_check(values: dict[str, Any], origins: dict[str, str], problems: list[str]) -> None:
    for one, other in (("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")):
        if values.get(one.lower()) and not values.get(other.lower()):
            problems.append(
                f"{one} ({origins[one]}) is set without {other}; set both, "
                "or neither to be shown a set-up link"
            )
    get_ip = values.get("get_ip")
    if get_ip is not None and not callable(get_ip):
        problems.append(f"{_place(BY_NAME['GET_IP'], get_ip, origins['GET_IP'])}: expected a function")


def _git_path(git: str, origin: str, file: ConfigFile | None) -> Path:
    """Resolve the repository: relative to the file that names it, else to the working directory."""
    base = file.path.parent if file is not None and origin.startswith(f"{file.path}:") else Path.cwd()
    return base / Path(git).expanduser()
