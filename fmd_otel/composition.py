"""Settings put together from, weakest first: defaults, file, environment, code, keywords."""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from fmd_otel.configfile import ConfigFile, read_config_file
from fmd_otel.keys import BY_KEYWORD, BY_NAME, ENV_CONFIG, ENV_PREFIX, KEYS, Key, nearest_key, safe_value
from fmd_otel.parsers import nearest
from fmd_otel.settings import DEFAULT_ORIGIN, Settings, place
from fmd_otel_exporter.errors import SettingsError
from fmd_otel_exporter.settings import RETENTION_DAYS, retention_problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_KUBERNETES = re.compile(r"FMD_OTEL_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")
"""A service called fmd-otel makes Kubernetes put such variables into every container beside it."""


class Choice(NamedTuple):
    """A value somebody chose, before it is read."""

    key: Key
    value: Any
    origin: str
    is_text: bool
    """From a file or the environment, where everything is text."""


def load_settings(
    keywords: Mapping[str, Any] | None = None,
    *,
    in_code: Mapping[str, Any] | None = None,
    file: ConfigFile | None = None,
    environ: Mapping[str, str] | None = None,
    keyword_origin: Callable[[str], str] = "keyword {}".format,
) -> Settings:
    """Compose the settings.

    Args:
        keywords: Arguments of ``instrument()``, lower case; the strongest. ``config`` names a file.
        in_code: What was assigned to ``fmd_otel.config``, by key name.
        file: A file that is read already; without one, ``FMD_OTEL_CONFIG`` names it.
        environ: Instead of the process's environment.
        keyword_origin: How to call a keyword that came from elsewhere, such as the command line.

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
    choices += _from_keywords(keywords, keyword_origin, problems)

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
    warnings += [
        f"AUTH ({origins['AUTH']}) decides alone: {name} ({origins[name]}) has no effect"
        for name in ("AUTH_PROXY_HEADER", "OIDC_DISCOVERY_URL")
        if "AUTH" in origins and name in origins
    ]
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


def _from_keywords(
    keywords: Mapping[str, Any], origin: Callable[[str], str], problems: list[str]
) -> Iterator[Choice]:
    for keyword, value in keywords.items():
        key = BY_KEYWORD.get(keyword)
        if key is None:
            near = nearest_key(keyword) or nearest(keyword, ["CONFIG"])
            hint = f"did you mean {near.lower()}?" if near else f"the keywords are {', '.join(BY_KEYWORD)}"
            problems.append(f"keyword {keyword}={safe_value(keyword, value)}: unknown setting; {hint}")
        elif value is not None:
            yield Choice(key, value, origin(keyword), is_text=False)


def _read(choices: list[Choice], problems: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Read every choice, so that a wrong one is told even where a stronger one hides it."""
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for key, value, origin, is_text in choices:
        parse = key.parse_text if is_text and key.parse_text is not None else key.parse
        try:
            values[key.keyword] = parse(value)
        except ValueError as error:
            problems.append(f"{place(key, value, origin)}: {error}")
        else:
            origins[key.name] = origin
    return values, origins


def _cross_check(values: dict[str, Any], origins: dict[str, str], problems: list[str]) -> None:
    for one, other in (("USERNAME", "PASSWORD"), ("PASSWORD", "USERNAME")):
        if values.get(one.lower()) and not values.get(other.lower()):
            problems.append(
                f"{one} ({origins[one]}) is set without {other}; set both, "
                "or neither to be shown a set-up link"
            )
    if not problems:
        days = {name: values.get(name, default) for name, default in RETENTION_DAYS.items()}

        def told(name: str) -> str:
            return f"{name.upper()}={days[name]} ({origins.get(name.upper(), DEFAULT_ORIGIN)})"

        problems += retention_problems(days, told)
    problems += _auth_problems(values, origins)
    for name in ("GET_IP", "SCRUB", "AUTH"):
        function = values.get(name.lower())
        if function is not None and not callable(function):
            problems.append(f"{place(BY_NAME[name], function, origins[name])}: expected a function")


def _auth_problems(values: dict[str, Any], origins: dict[str, str]) -> Iterator[str]:
    """Yield what would let in too many, or nobody."""
    if values.get("auth_proxy_header") and not values.get("auth_proxy_trusted"):
        yield (
            f"AUTH_PROXY_HEADER ({origins['AUTH_PROXY_HEADER']}) is set without AUTH_PROXY_TRUSTED: "
            "anybody can send a header; set it to the proxy's address, such as 127.0.0.1"
        )
    if values.get("auth_proxy_role_header") and not values.get("auth_proxy_header"):
        yield (
            f"AUTH_PROXY_ROLE_HEADER ({origins['AUTH_PROXY_ROLE_HEADER']}) has no effect without "
            "AUTH_PROXY_HEADER; set both, or neither"
        )
    oidc = ("OIDC_DISCOVERY_URL", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET")
    given = [name for name in oidc if values.get(name.lower())]
    if given and len(given) < len(oidc):
        missing = " and ".join(name for name in oidc if name not in given)
        yield f"{given[0]} ({origins[given[0]]}) is set without {missing}; set all three, or none of them"
    who = ("AUTH_ADMINS", "AUTH_ADMIN_GROUPS", "AUTH_GUEST_GROUPS")
    if given and not any(values.get(name.lower()) for name in who):
        yield (
            f"{given[0]} ({origins[given[0]]}) is set, but nothing says who may come in; "
            f"set {', '.join(who[:2])} or AUTH_GUEST_GROUPS (* for everybody whom the provider knows)"
        )


def _git_path(git: str, origin: str, file: ConfigFile | None) -> Path:
    """Resolve the repository: relative to the file that names it, else to the working directory."""
    base = file.path.parent if file is not None and origin.startswith(f"{file.path}:") else Path.cwd()
    return base / Path(git).expanduser()
