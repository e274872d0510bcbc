"""Scrubs values of any shape, within bounds, and tells what it took out."""

from __future__ import annotations

import json
import math
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, unquote_plus

from fmd_otel.scrubbing.names import DECODINGS, LONGEST_NAME, SensitiveNames
from fmd_otel.scrubbing.text import SCRUBBED, is_card_number, without_secret_parameters, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

TRUNCATED = "[truncated]"
"""What stands in the place of what is too deep or too much to be kept."""
MOST_DEPTH = 12
MOST_ITEMS = 200
"""Of one list or dictionary."""
MOST_VALUES = 2000
"""Of one record."""
MOST_CHARACTERS = 4096
"""Of one text."""
MOST_TOTAL = 65_536
"""Characters of one record."""
_MOST_PATHS = 500
_MOST_BITS = 1024
"""Of one number: Python refuses to write very long ones."""
# Lists of fields, as jQuery's serializeArray() and HAR files write them.
_NAMERS = ("name", "key", "field", "header", "id")
_NAMED = frozenset({"value", "values", "val", "data", "content", "text"})
_PAIR = 2
_JSON_BEGINS = ("{", "[", '"')


class Scrubber:
    """What is taken out of values before they are stored; one for the process."""

    def __init__(
        self,
        more_names: Iterable[str] = (),
        hook: Callable[[str, Any], Any] | None = None,
        failed: Callable[[str, BaseException], None] | None = None,
    ) -> None:
        """Scrub the usual names and looks of secrets.

        Args:
            more_names: Names that promise secrets too.
            hook: The user's own: gets path and value of everything that would be kept, returns what is.
            failed: Told when the hook raises; the value is masked then.
        """
        self.names = SensitiveNames(more_names)
        self.hook = hook
        self.failed = failed

    def record(self, most_values: int = MOST_VALUES, most_characters: int = MOST_TOTAL) -> Scrubbed:
        """Begin a record: what belongs to it shares its bounds and its lists."""
        return Scrubbed(self, most_values, most_characters)

    def text(self, text: str) -> str:
        """Scrub a single text, such as an exception's message."""
        return Scrubbed(self).value(text, "text", ask=False)  # type: ignore[no-any-return]  # text in, text out

    def asked(self, path: str, value: Any) -> Any:
        """Return what the user's function makes of a value."""
        if self.hook is None:
            return value
        try:
            return self.hook(path, value)
        except Exception as error:  # noqa: BLE001 # the user's function, of which anything may come
            if self.failed is not None:
                self.failed("scrub", error)
            return SCRUBBED


class Scrubbed:
    """The values of one record, as they were scrubbed, and the paths of what was taken out."""

    def __init__(
        self, scrubber: Scrubber, most_values: int = MOST_VALUES, most_characters: int = MOST_TOTAL
    ) -> None:
        """Begin with nothing."""
        self._scrubber = scrubber
        self._names = scrubber.names
        self._values_left = most_values
        self._characters_left = most_characters
        self.scrubbed: list[str] = []
        """Paths such as ``headers.Authorization``."""
        self.truncated: list[str] = []
        """Paths of what was too much."""

    def mapping(self, values: Mapping[str, Any], path: str) -> dict[str, Any]:
        """Scrub the values of a dictionary, by their names and their looks."""
        return self._mapping(values, path, 0)

    def value(self, value: Any, path: str, *, ask: bool = True) -> Any:
        """Scrub one value of any shape.

        Args:
            value: Whatever it is.
            path: What it is called in the lists.
            ask: Let the user's function see it.
        """
        return self._value(value, path, 0, ask=ask)

    def url(self, url: str, path: str) -> str:
        """Scrub a URL: user and password in it, and sensitive parameters."""
        cut = self._cut(url, path)
        kept = self._url(cut, 0)
        return str(self._done(path, kept, is_changed=kept != cut))

    def query(self, query: str, path: str) -> str:
        """Scrub a query string or a form, leaving it encoded as it was."""
        cut = self._cut(query, path)
        kept = self._query(cut, 0)
        return str(self._done(path, kept, is_changed=kept != cut))

    def _mapping(self, values: Mapping[Any, Any], path: str, depth: int) -> dict[str, Any]:
        kept: dict[str, Any] = {}
        secret_field = self._names_a_secret(values)
        beside = [name for name in islice(values, MOST_ITEMS) if type(name) is str]
        for number, (raw_name, value) in enumerate(values.items()):
            if number >= MOST_ITEMS or self._values_left <= 0:
                self._note(self.truncated, path)
                break
            name = raw_name if type(raw_name) is str else str(raw_name)[: LONGEST_NAME + 1]
            shown = without_secrets(name[:LONGEST_NAME], self._names)
            here = f"{path}.{shown}"
            if self._names.promise(name, value, beside) or (secret_field and name.lower() in _NAMED):
                kept[shown] = self._masked(value, here)
            else:
                kept[shown] = self._value(value, here, depth + 1)
        return kept

    def _names_a_secret(self, values: Mapping[Any, Any]) -> bool:
        for namer, name in values.items():
            if type(namer) is str and type(name) is str and namer.lower() in _NAMERS and name in self._names:
                return True
        return False

    def _list(self, values: Iterable[Any], path: str, depth: int) -> list[Any]:
        kept: list[Any] = []
        for number, value in enumerate(values):
            if number >= MOST_ITEMS or self._values_left <= 0:
                self._note(self.truncated, path)
                break
            here = f"{path}[{number}]"
            is_pair = isinstance(value, (list, tuple)) and len(value) == _PAIR and type(value[0]) is str
            if is_pair and value[0] in self._names:
                kept.append([value[0], self._masked(value[1], f"{path}.{value[0]}")])
            else:
                kept.append(self._value(value, here, depth + 1))
        return kept

    def _value(self, value: Any, path: str, depth: int, *, ask: bool = True) -> Any:
        self._values_left -= 1
        if self._values_left < 0 or depth > MOST_DEPTH:
            self._note(self.truncated, path)
            return TRUNCATED
        if isinstance(value, dict):
            return self._mapping(value, path, depth)
        if isinstance(value, (list, tuple)):
            return self._list(value, path, depth)
        if isinstance(value, (bytes, bytearray)):
            value = bytes(value[:MOST_CHARACTERS]).decode("utf-8", "backslashreplace")
        if isinstance(value, str):
            cut, kept = self._whole_text(str.__str__(value), path, depth)
        else:
            cut, kept = value, self._scalar(value)
        return self._done(path, kept, is_changed=kept is not cut and kept != cut, ask=ask)

    def _whole_text(self, text: str, path: str, depth: int) -> tuple[str, str]:
        """Return a text as far as there is room for it, and that without its secrets."""
        if len(text) > MOST_CHARACTERS and text.lstrip()[:1] in _JSON_BEGINS:
            # What is cut can no longer be read, and then it cannot be told which of it is secret.
            kept = self._document(text, depth) if len(text) <= MOST_TOTAL else None
            if kept is None:
                self._note(self.truncated, path)
                return TRUNCATED, TRUNCATED
            return self._cut(text, path), kept[:MOST_CHARACTERS]
        cut = self._cut(text, path)
        return cut, self._text(cut, depth)

    @staticmethod
    def _scalar(value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            if value.bit_length() > _MOST_BITS:
                return TRUNCATED
            digits = str(abs(value))
            return SCRUBBED if is_card_number(digits) else int(value)
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(value)
        return f"<{type(value).__module__}.{type(value).__qualname__}>"

    def _text(self, text: str, depth: int) -> str:
        """Scrub a text, and what is written in it in another language: JSON, URLs, percent-encoding."""
        read = text
        for _ in range(DECODINGS + 1):
            if (kept := self._document(read, depth)) is None:
                kept = self._loose(read, depth)
            if kept != read:
                return kept
            if "%" not in read or (decoded := unquote_plus(read)) == read:
                break
            read = decoded
        return text

    def _loose(self, text: str, depth: int) -> str:
        if "?" in text:
            return self._url(text, depth)
        if "=" in text and "%" in text:
            return self._query(text, depth)
        return without_secrets(text, self._names)

    def _document(self, text: str, depth: int) -> str | None:
        """Scrub a text that is JSON; None where it is not, or has no names in it."""
        stripped = text.lstrip()
        if not stripped or stripped[0] not in _JSON_BEGINS:
            return None
        if depth >= MOST_DEPTH:
            return TRUNCATED
        try:
            found = json.loads(stripped, object_pairs_hook=_all_pairs)
        except (ValueError, RecursionError):
            return None
        inner = Scrubbed(Scrubber(()))
        inner._names, inner._values_left = self._names, self._values_left  # its own kind
        kept = inner._value(found, "", depth + 1, ask=False)  # its own kind
        self._values_left = inner._values_left  # its own kind
        if not (inner.scrubbed or inner.truncated):
            return text
        return json.dumps(kept)

    def _url(self, url: str, depth: int) -> str:
        before, question, rest = url.partition("?")
        query, sharp, fragment = rest.partition("#")
        kept = without_secrets(before, self._names) + question + self._query(query, depth)
        # OAuth's implicit flow hands tokens over behind the sharp.
        return kept + sharp + self._query(fragment, depth)

    def _query(self, query: str, depth: int) -> str:
        def scrub(_name: str, value: str) -> str:
            plain = unquote(value.replace("+", " "))
            kept = self._text(plain, depth + 1)
            return value if kept == plain else kept

        if not query:
            return query
        kept = without_secret_parameters(query, self._names, scrub) if depth < MOST_DEPTH else TRUNCATED
        return without_secrets(kept, self._names) if kept == query else kept

    def _cut(self, text: str, path: str) -> str:
        most = min(MOST_CHARACTERS, max(self._characters_left, 0))
        self._characters_left -= min(len(text), most)
        if len(text) <= most:
            return text
        self._note(self.truncated, path)
        return text[:most]

    def _masked(self, value: Any, path: str) -> Any:
        if value is None or value == "":
            return value  # that there was none is no secret, and often the cause
        self._note(self.scrubbed, path)
        return SCRUBBED

    def _done(self, path: str, kept: Any, *, is_changed: bool, ask: bool = True) -> Any:
        if ask and (hook_kept := self._scrubber.asked(path, kept)) is not kept:
            is_changed = is_changed or hook_kept != kept
            kept = hook_kept if isinstance(hook_kept, (str, int, float, bool, type(None))) else SCRUBBED
        if is_changed:
            self._note(self.scrubbed, path)
        return kept

    @staticmethod
    def _note(paths: list[str], path: str) -> None:
        if len(paths) < _MOST_PATHS and path not in paths:
            paths.append(path)


def _all_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dictionary of a JSON object, in which a name may stand twice."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        found[name] = [found[name], value] if name in found else value
    return found
