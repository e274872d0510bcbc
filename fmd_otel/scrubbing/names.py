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
_LONGEST_WEAK = 24
"""Of a weak name, percent-encoded."""

# Anywhere in a name, its punctuation and case taken out.
_STEMS = (
    "accesskey", "accountkey", "adminkey", "aeskey", "apikey", "appkey", "authcode", "authentication",
    "authkey", "authorization", "bearer", "cardno", "cardnum", "ccnum", "clientassertion", "clientkey",
    "codeverifier", "connectionstring", "consumerkey", "cookie", "creditcard", "credential", "csrf",
    "deploykey", "devicecode", "encryptionkey", "functionskey", "hmackey", "jwt", "licencekey", "licensekey",
    "masterkey", "passcode", "passphrase", "passwd", "password", "passwort", "privatekey", "rootkey",
    "samlrequest", "samlresponse", "secret", "securitycode", "serverkey", "servicekey", "sessid", "session",
    "sharedkey", "signature", "signingkey", "sshkey", "subscriptionkey", "symmetrickey", "token",
    "webhookkey", "writekey", "xsrf",
)  # fmt: skip
# Only as a word of its own: "pin" is no part of "shipping".
_WORDS = frozenset(
    {"auth", "cvc", "cvv", "cvv2", "iban", "mfa", "otp", "pan", "pass", "passw", "pin", "pw", "pwd",
     "sas", "sid", "sig", "ssn", "totp"}
)  # fmt: skip
_WEAK = frozenset({"code", "key"})
"""Names that mean anything, and a secret only where the value looks like one or OAuth is at work."""
_OAUTH = frozenset({"clientid", "codechallenge", "granttype", "redirecturi", "sessionstate", "state"})
_RANDOM = re.compile(r"(?=[^0-9]{0,200}[0-9])(?=[^A-Za-z]{0,200}[A-Za-z])[A-Za-z0-9._~+/=-]{20,}")
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

    def promise(self, name: str, value: object, beside: Iterable[str] = ()) -> bool:
        """Look a name up whose value may have to decide.

        Args:
            name: As for ``in``.
            value: What stands under it.
            beside: The names that stand beside it: OAuth's codes are short, and are told by these.
        """
        if name in self:
            return True
        if len(name) > _LONGEST_WEAK or _squeezed(unquote_plus(name)) not in _WEAK or type(value) is not str:
            return False
        return bool(_RANDOM.fullmatch(unquote_plus(value))) or (
            _squeezed(name) == "code" and any(_squeezed(each[:LONGEST_NAME]) in _OAUTH for each in beside)
        )

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
