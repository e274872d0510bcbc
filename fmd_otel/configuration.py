"""``fmd_otel.config``: Flask-MonitoringDashboard's way of setting things, so that moving over is easy."""

from __future__ import annotations

import logging
import os
import weakref
from typing import TYPE_CHECKING, Any

from fmd_otel.composition import load_settings
from fmd_otel.configfile import ConfigFile, read_config_file
from fmd_otel.keys import ATTRIBUTES, BY_KEYWORD, BY_NAME, nearest_key, safe_value
from fmd_otel_exporter.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from fmd_otel.settings import Settings

    class Follower(Protocol):
        """Somebody who is told of changes that may come after the application was instrumented."""

        def setting_changed(self, name: str, value: Any) -> None:
            """Obey the new value of ``group_by`` or ``get_ip``."""


logger = logging.getLogger("fmd_otel")

_LIVE = frozenset({"GROUP_BY", "GET_IP", "SCRUB"})
"""Keys that an instrumented application obeys at once."""


class Config:
    """Settings given in code: ``config.group_by = ...``, ``config.init_from(file=...)``.

    Every key of the configuration file is an attribute, lower case, and may be assigned before the
    application is instrumented; ``group_by``, ``get_ip`` and ``scrub`` at any time.
    """

    def __init__(self) -> None:
        """Begin with nothing set."""
        self._values: dict[str, Any]
        self._file: ConfigFile | None
        self._followers: weakref.WeakSet[Any]
        object.__setattr__(self, "_values", {})
        object.__setattr__(self, "_file", None)
        object.__setattr__(self, "_followers", weakref.WeakSet())

    def init_from(
        self,
        file: str | os.PathLike[str] | None = None,
        envvar: str | None = None,
        log_verbose: bool = False,  # noqa: FBT001, FBT002 # existing applications call it so  # the signature that existing applications call
    ) -> None:
        """Read a configuration file.

        Args:
            file: Its path.
            envvar: Instead of it, the name of an environment variable that holds the path.
            log_verbose: Log every setting of the file, secrets masked.

        Raises:
            SettingsError: The file is missing or something in it is wrong.
        """
        if file is None:
            if envvar is None:
                raise SettingsError("config.init_from() needs file=... or envvar=...")
            file = os.environ.get(envvar, "").strip()
            if not file:
                raise SettingsError(
                    f"config.init_from(envvar={envvar!r}): the variable is not set; "
                    "set it to the path of the file"
                )
        found = read_config_file(file)
        # Composed at once, so that the error comes from the line that names the file.
        settings = load_settings(file=found, environ={})
        object.__setattr__(self, "_file", found)
        if len(self._followers):
            self._warn_too_late("init_from()")
        if log_verbose:
            for key, value, origin in settings.shown():
                if key.name in settings.origins:
                    logger.info("%s = %s (%s)", key.name, value, origin)

    def inject_dependencies(self, get_ip: Any) -> None:
        """Set ``get_ip``, as Flask-MonitoringDashboard spells it."""
        self.get_ip = get_ip

    def settings(self, keywords: Mapping[str, Any] | None = None) -> Settings:
        """Compose the settings in force now."""
        return load_settings(keywords, in_code=self._values, file=self._file)

    def follow(self, follower: Follower) -> None:
        """Tell ``follower`` of later changes, for as long as somebody else keeps it."""
        self._followers.add(follower)

    def reset(self) -> None:
        """Forget everything that was set."""
        self._values.clear()
        object.__setattr__(self, "_file", None)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a key, after checking that there is one."""
        key = BY_NAME.get(ATTRIBUTES.get(name, "")) or BY_KEYWORD.get(name)
        if key is None:
            near = nearest_key(name)
            hint = f"did you mean {near.lower()}?" if near else f"there are {', '.join(BY_KEYWORD)}"
            raise SettingsError(
                f"fmd_otel.config.{name} = {safe_value(name, value)}: unknown setting; {hint}"
            )
        # Read alone, so that a wrong value is told where it is assigned, whatever else is wrong elsewhere.
        if value is not None:
            try:
                key.parse(value)
            except ValueError as error:
                raise SettingsError(f"fmd_otel.config.{name} = {safe_value(name, value)}: {error}") from None
        if value is None:
            self._values.pop(key.name, None)
        else:
            self._values[key.name] = value
        followers = list(self._followers)
        if key.name in _LIVE:
            for follower in followers:
                follower.setting_changed(key.keyword, value)
        elif followers:
            self._warn_too_late(name)

    def _warn_too_late(self, what: str) -> None:
        logger.warning(
            "fmd_otel.config.%s came after an application was instrumented, which does not see it: "
            "put it before instrument()",
            what,
        )

    def __getattr__(self, name: str) -> Any:
        """Return the value in force."""
        key = BY_NAME.get(ATTRIBUTES.get(name, "")) or BY_KEYWORD.get(name)
        if key is None:
            raise AttributeError(f"fmd_otel.config has no setting {name!r}")
        return getattr(self.settings(), key.keyword)


config = Config()
"""The one of this process."""
