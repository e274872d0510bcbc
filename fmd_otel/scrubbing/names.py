"""Which names promise a secret: of headers, parameters, fields, variables, whatever their spelling."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_NAME = 256
"""A longer name is no name; what stands under it is taken for a secret."""
DECODINGS = 3
"""How often a name or a text is percent-decoded: proxies and clients encode what is encoded already."""
_MOST_REMEMBERED = 4096

# Anywhere in a name, its punctuation and case taken out.
_STEMS = (
    "accesskey", "accountkey", "apikey", "appkey", "authentication", "authorization", "bearer", "cardno",
    "cardnum", "ccnum", "clientkey", "connectionstring", "cookie", "creditcard", "credential", "csrf",
    "encryptionkey", "functionskey", "jwt", "masterkey", "passcode", "passphrase", "passwd", "password",
    "passwort", "privatekey", "secret", "securitycode", "sessid", "session", "sharedkey", "signature",
    "signingkey", "sshkey", "subscriptionkey", "token", "xsrf",
)  # fmt: skip
# Only as a word of its own: "pin" is no part of "shipping".
_WORDS = frozenset(
    {"auth", "cvc", "cvv", "cvv2", "iban", "mfa", "otp", "pan", "pass", "passw", "pin", "pw", "pwd",
     "sas", "sid", "sig", "ssn", "totp"}
)  # fmt: skip
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_NO_WORD = re.compile(r"[\W_]+")


class SensitiveNames:
    """Tells whether a name promises a secret."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        """Know the usual names, and ``more``: anything that contains one of these, in any spelling."""
        self._stems = (*_STEMS, *filter(None, (_squeezed(name) for name in more)))
        # Names are made up by clients; what was looked at once is remembered, up to a bound.
        self._remembered: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        """Look a name up, however it is spelt or percent-encoded."""
        found = self._remembered.get(name)
        if found is None:
            found = self._look(name)
            if len(self._remembered) >= _MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[name] = found
        return found

    def _look(self, name: str) -> bool:
        if len(name) > LONGEST_NAME:
            return True
        for _ in range(DECODINGS):
            if self._is_sensitive(name):
                return True
            decoded = unquote_plus(name)
            if decoded == name:
                return False
            name = decoded
        return self._is_sensitive(name)

    def _is_sensitive(self, name: str) -> bool:
        squeezed = _squeezed(name)
        if any(stem in squeezed for stem in self._stems):
            return True
        plain = unicodedata.normalize("NFKC", name)
        words = [*_NO_WORD.split(plain), *_NO_WORD.split(_CAMEL.sub(" ", plain))]
        return any(word.casefold() in _WORDS for word in words)


def _squeezed(name: str) -> str:
    return _NO_WORD.sub("", unicodedata.normalize("NFKC", name).casefold())
