"""From what a person wrote to the value that was meant: one function for each kind of setting.

Each takes text (from a file or the environment) or a Python object (from a keyword) and returns the value,
or raises ``ValueError`` saying what was expected. None of them evaluates anything: literals are read by
``ast.literal_eval``.
"""

from __future__ import annotations

import ast
import ipaddress
import math
import re
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo, available_timezones

from fmd_otel.named import Named
from fmd_otel_exporter.level_rule import parse_rules
from fmd_otel_exporter.settings import NO_SQLITE_FILE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fmd_otel_exporter.level_rule import LevelRule

LEAST_TOKEN = 16
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})
_DATABASE = re.compile(r"[a-z][a-z0-9_]*(\+[a-z0-9_]+)?://.*", re.DOTALL)
_PREFIX = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,30}")
_LINK = re.compile(r"[A-Za-z0-9._~-]+(/[A-Za-z0-9._~-]+)*")
_EDITOR = re.compile(r"(?!(?:javascript|data|vbscript|blob|https?):)[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_ADDRESS = re.compile(r"(https?://[^\s/\\]+)?(/(?![/\\])[^\s\\]*)?(?<=.)")
_DISCOVERY = re.compile(
    r"(https://[^\s/@]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(/\S*)?/\.well-known/openid-configuration"
)
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,99}")
_HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_CHANNELS = 3
_CHANNEL_MAX = 255


def unquote(value: str) -> str:
    """Return text without the quotes around it: ``'admin'`` and ``admin`` mean the same."""
    text = value.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        try:
            literal = ast.literal_eval(text)
        except (SyntaxError, ValueError):
            return text
        if isinstance(literal, str):
            return literal
    return text


def text(value: Any) -> str:
    """Read a string. A number is welcome too, because ``app_version=2`` is a natural thing to write."""
    if isinstance(value, str):
        return unquote(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise ValueError("expected a string")


def token(value: Any) -> str:
    """Read a secret that programs send: too long to be guessed, or empty for none."""
    found = text(value)
    if 0 < len(found) < LEAST_TOKEN:
        raise ValueError(
            f"expected {LEAST_TOKEN} characters or more, since whoever guesses it reads everything; make one "
            'with: python -c "import secrets; print(secrets.token_urlsafe(32))"'
        )
    return found


def path(value: Any) -> str:
    """Read a path of the file system, given as text or as a ``Path``."""
    if isinstance(value, str):
        return unquote(value)
    fspath = getattr(value, "__fspath__", None)
    found = fspath() if fspath is not None else None
    if isinstance(found, str):
        return found
    raise ValueError("expected a path")


def boolean(value: Any) -> bool:
    """Read a truth value."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = unquote(value).lower()
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
    raise ValueError("expected True or False")


def whole_number(low: int, high: int) -> Callable[[Any], int]:
    """Make a reader of whole numbers from ``low`` to ``high``."""

    def parse(value: Any) -> int:
        number = _literal(value)
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise ValueError(f"expected a whole number from {low} to {high}")
        return number

    return parse


def number_above(low: float, high: float) -> Callable[[Any], float]:
    """Make a reader of numbers greater than ``low`` and at most ``high``."""

    def parse(value: Any) -> float:
        number = _literal(value)
        if isinstance(number, bool) or not isinstance(number, (int, float)) or not math.isfinite(number):
            raise ValueError(f"expected a number greater than {low:g}")
        if not low < number <= high:
            raise ValueError(f"expected a number greater than {low:g}, at most {high:g}")
        return float(number)

    return parse


def database(value: Any) -> str:
    """Read a database URL; whether anybody answers there is found out by the first request."""
    if not isinstance(value, str):
        # An SQLAlchemy URL object hides its password in str(); only this method gives the whole of it.
        render = getattr(value, "render_as_string", None)
        value = render(hide_password=False) if render is not None else ""
    url = unquote(value)
    if not _DATABASE.fullmatch(url):
        raise ValueError("expected a database URL such as sqlite:////var/lib/shop/fmd_otel.db")
    if NO_SQLITE_FILE.fullmatch(url):
        raise ValueError(
            "expected three slashes before a file's name, such as sqlite:///fmd_otel.db, or four"
        )
    return url


def table_prefix(value: Any) -> str:
    """Read the beginning of table names."""
    prefix = text(value)
    if not _PREFIX.fullmatch(prefix):
        raise ValueError(
            "expected up to 31 letters, digits and underscores, not starting with a digit, such as 'fmd'"
        )
    return prefix


def link(value: Any) -> str:
    """Read the path under which the dashboard is mounted, without its leading slash."""
    path_ = text(value).strip("/")
    if not _LINK.fullmatch(path_) or "." in path_.split("/") or ".." in path_.split("/"):
        raise ValueError(
            "expected a path made of letters, digits, '-', '_', '.' and '~', such as 'dashboard'"
        )
    return path_


def editor_link(value: Any) -> str:
    """Read the address that opens a line of code in an editor; nothing that a browser would run or fetch."""
    address = text(value)
    if "{path}" not in address or not _EDITOR.match(address):
        raise ValueError(
            "expected an editor's address with {path} in it, such as vscode://file/{path}:{line}"
        )
    return address


def timezone(value: Any) -> str:
    """Read the name of a time zone."""
    name = text(value)
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        near = nearest(name, available_timezones())
        hint = f"; did you mean {near!r}?" if near else ""
        raise ValueError(f"expected a time zone name such as 'Europe/Amsterdam'{hint}") from error
    return name


def colors(value: Any) -> Mapping[str, str]:
    """Read endpoint colours, ``{'main': '[0,97,255]'}`` or ``{'main': '#0061ff'}``, as ``#rrggbb``."""
    expected = "expected a dictionary such as {'main': '[0,97,255]'}"
    literal = _literal(value)
    if not isinstance(literal, dict):
        raise ValueError(expected)  # noqa: TRY004 # every parser tells what is wrong by one kind of error
    found: dict[str, str] = {}
    for endpoint, colour in literal.items():
        if not isinstance(endpoint, str):
            raise ValueError(f"{expected}: {endpoint!r} is no endpoint name")  # noqa: TRY004 # as above
        found[endpoint] = _colour(endpoint, colour)
    return found


def names(value: Any) -> tuple[str, ...]:
    """Read names, given as a list or separated by commas."""
    literal = _literal(value)
    if isinstance(value, str) and not isinstance(literal, (list, tuple)):
        literal = unquote(value).split(",")
    if not isinstance(literal, (list, tuple)) or not all(isinstance(name, str) for name in literal):
        raise ValueError("expected names separated by commas, such as patient_id, insurance_no")
    return tuple(name.strip() for name in literal if name.strip())


def level_rules(value: Any) -> tuple[LevelRule, ...]:
    """Read rules for levels, ``static: 0, api.*: 3`` or a dictionary, ``{'static': 0, 'api.*': 3}``."""
    return parse_rules(unquote(value) if isinstance(value, str) else value)


def web_address(value: Any) -> str:
    """Read where a browser is sent: a path of this server, or a whole http(s) address."""
    address = text(value)
    if not _ADDRESS.fullmatch(address):
        raise ValueError(
            "expected a path such as /login, or an address such as https://sso.example.com/login"
        )
    return address


def discovery_url(value: Any) -> str:
    """Read the address at which an OpenID Connect provider describes itself."""
    address = text(value)
    if not _DISCOVERY.fullmatch(address):
        raise ValueError(
            "expected an https address that ends with /.well-known/openid-configuration, "
            "such as https://sso.example.com/.well-known/openid-configuration"
        )
    return address


def header_name(value: Any) -> str:
    """Read the name of a request header."""
    name = text(value)
    if not _HEADER.fullmatch(name):
        raise ValueError("expected the name of a request header, such as X-Forwarded-User")
    return name


def peers(value: Any) -> tuple[str, ...]:
    """Read addresses and networks, given as a list or separated by commas; ``unix`` for Unix sockets."""
    found = names(value)
    for each in found:
        if each == "unix":
            continue
        try:
            ipaddress.ip_network(each)
        except ValueError as error:
            raise ValueError(
                f"expected addresses and networks such as 127.0.0.1, 10.1.0.0/16: {error}"
            ) from None
    return found


def callable_or_name(value: Any) -> Any:
    """Read something to call for each request: the thing itself, or ``module:function``."""
    return Named(unquote(value)) if isinstance(value, str) else value


def as_given(value: Any) -> Any:
    """Take any Python object: ``group_by`` may be a number, a tuple, a function or a mixture of them."""
    return value


def nearest(word: str, words: Any) -> str | None:
    """Return the valid word that was probably meant."""
    import difflib  # noqa: PLC0415 # needed only to word an error

    by_lower = {candidate.lower(): candidate for candidate in words}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def _literal(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ast.literal_eval(unquote(value).strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None


def _colour(endpoint: str, value: Any) -> str:
    if isinstance(value, str) and _HEX_COLOUR.fullmatch(value.strip()):
        return value.strip().lower()
    channels = _literal(value)
    if (
        not isinstance(channels, (list, tuple))
        or len(channels) != _CHANNELS
        or any(isinstance(c, bool) or not isinstance(c, int) or not 0 <= c <= _CHANNEL_MAX for c in channels)
    ):
        raise ValueError(
            f"the colour of {endpoint!r} is {value!r}: "
            "expected three numbers from 0 to 255, such as '[0,97,255]'"
        )
    return "#{:02x}{:02x}{:02x}".format(*channels)
