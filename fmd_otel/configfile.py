"""A ``config.cfg`` of Flask-MonitoringDashboard's format, read into values that know their line."""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmd_otel.keys import BY_NAME, SECTIONS, UNSUPPORTED_SECTION, nearest_key, safe_value
from fmd_otel.parsers import nearest
from fmd_otel_exporter.errors import SettingsError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

_SECTION_LINE = re.compile(r"\[(?P<name>[^\]]+)\]")
_KEY_LINE = re.compile(r"(?P<name>[^\s:=\[#;][^:=]*?)\s*[:=]")


@dataclass(frozen=True)
class FileValue:
    """What one line of the file says."""

    key: str
    text: str
    line: int


@dataclass(frozen=True)
class ConfigFile:
    """The values of one file, and what is wrong with it."""

    path: Path
    values: tuple[FileValue, ...]
    problems: tuple[str, ...]
    """Unknown sections and keys, each with its place and the nearest valid name."""
    warnings: tuple[str, ...]


def read_config_file(file: str | os.PathLike[str]) -> ConfigFile:
    """Read a configuration file.

    Args:
        file: Its path; a relative one is taken from the working directory.

    Raises:
        SettingsError: It cannot be read at all. What is wrong inside comes back as ``problems``, so that one
            error can
            name all of it.
    """
    path = Path(file).expanduser().absolute()
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise SettingsError(
            f"configuration file {path} does not exist; create it, or correct the path that names it"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"configuration file {path} cannot be read: {error}") from error
    return parse_config(content, path)


def parse_config(content: str, path: Path) -> ConfigFile:
    """Read the text of a configuration file; ``path`` is only for messages."""
    parser = configparser.RawConfigParser(strict=True)
    # Keys keep the spelling of the file, so that a message shows what its reader will search for.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(content, source=str(path))
    except configparser.MissingSectionHeaderError as error:
        raise SettingsError(
            f"{path}:{error.lineno}: {error.line.strip()!r} stands before any section; "
            f"begin the file with one of {_listed(SECTIONS)}"
        ) from None
    except (configparser.DuplicateOptionError, configparser.DuplicateSectionError) as error:
        what = f"key {error.option}" if isinstance(error, configparser.DuplicateOptionError) else "section"
        raise SettingsError(
            f"{path}:{error.lineno}: {what} appears twice in [{error.section}]; keep one of them"
        ) from None
    except configparser.ParsingError as error:
        line, text = error.errors[0] if error.errors else (0, "")
        raise SettingsError(f"{path}:{line}: {text} is no 'KEY=value' line") from None
    return _judge(parser, path, dict(_line_numbers(content)))


def _judge(parser: configparser.RawConfigParser, path: Path, lines: dict[tuple[str, str], int]) -> ConfigFile:
    values: list[FileValue] = []
    problems: list[str] = []
    warnings: list[str] = []
    if parser.defaults():
        problems.append(f"{path}: unknown section [DEFAULT]; the sections are {_listed(SECTIONS)}")
    for section in parser.sections():
        name = section.strip().lower()
        if name == UNSUPPORTED_SECTION:
            warnings.append(f"{path}: section [{section}] is not supported yet; nothing in it has any effect")
            continue
        if name not in SECTIONS:
            near = nearest(name, SECTIONS)
            hint = f"did you mean [{near}]?" if near else f"the sections are {_listed(SECTIONS)}"
            problems.append(f"{path}:{lines.get((section, ''), 0)}: unknown section [{section}]; {hint}")
            continue
        for option, text in parser.items(section):
            line = lines.get((section, option), 0)
            key = BY_NAME.get(option.upper())
            where = f"{path}:{line}: [{section}] {option}={safe_value(option, text)}"
            if key is None or key.section is None:
                problems.append(f"{where}: unknown key; {_key_hint(option, name)}")
            elif key.section != name:
                problems.append(f"{where}: this key belongs in section [{key.section}]; move it there")
            else:
                values.append(FileValue(key.name, text, line))
    return ConfigFile(path, tuple(values), tuple(problems), tuple(warnings))


def _key_hint(option: str, section: str) -> str:
    known = BY_NAME.get(option.upper())
    if known is not None:
        return f"set it by the variable {known.variable} or the keyword {known.keyword}"
    in_files = [key.name for key in BY_NAME.values() if key.section is not None]
    near = nearest_key(option, in_files)
    if near:
        home = BY_NAME[near].section
        return f"did you mean {near}?" if home == section else f"did you mean {near} in section [{home}]?"
    here = [key.name for key in BY_NAME.values() if key.section == section]
    return f"the keys of [{section}] are {', '.join(here)}"


def _line_numbers(content: str) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield ``((section, key), line)``; the section itself has an empty key."""
    section = ""
    for number, line in enumerate(content.splitlines(), start=1):
        if match := _SECTION_LINE.match(line):
            section = match["name"]
            yield (section, ""), number
        elif match := _KEY_LINE.match(line):
            yield (section, match["name"].strip()), number


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(f"[{name}]" for name in names)
