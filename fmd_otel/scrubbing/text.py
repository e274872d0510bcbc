"""Secrets inside a text: passwords in URLs, ``name=value`` pairs, tokens and card numbers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmd_otel.scrubbing.names import SensitiveNames

SCRUBBED = "[scrubbed]"
"""What stands in the place of a secret."""

_BRACKETED = r'"(?:[^"\\]|\\.)*"?' + r"|'(?:[^'\\]|\\.)*'?" + r"|\[[^\]]*\]?|\{[^}]*\}?|\([^)]*\)?"
# A name begins where one can, and a repetition never matches what follows it: the text may be meant to make
# this slow.
_NAME = r"(?<![\w.%\-\[\]+$])(?P<name>[\w.%\-\[\]+$]{2,})"
_PAIR = re.compile(
    rf"""{_NAME}(?P<sep>\\*["']?\s{{0,4}}=>?\s{{0,4}}\\*)(?P<value>{_BRACKETED}|[^\s&;,"'<>{{}}()]+)"""
)
_FIELD = re.compile(
    rf"""{_NAME}(?P<sep>\\*["']?\s{{0,4}}:\s{{0,4}}\\*)(?P<value>{_BRACKETED}|[^\r\n&;,<>{{}}()]+)"""
)
_HEADER_NAME = re.compile("cookie|authorization", re.IGNORECASE)
_HEADER = re.compile(
    r"(?P<name>[\w-]{0,64}(?:cookie|authorization)[\w-]{0,64})(?P<sep>[\"']?\s{0,4}[:=]\s{0,4})"
    r"(?P<value>[^\r\n]+)",
    re.IGNORECASE,
)
_SCHEME = re.compile(
    r"\b(?P<name>(?i:bearer|basic|digest|negotiate))(?P<sep>\s{1,4})"
    r"(?P<value>(?=[a-z+/._~-]{0,200}[A-Z0-9=])[A-Za-z0-9+/=._~-]{6,})"
)
_USER = re.compile(r"(?P<name>\b[A-Za-z][A-Za-z0-9+.-]{1,30}://)(?P<sep>)(?P<value>[^\s/?#@]{1,512})(?=@)")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_TOKENS = re.compile(
    r"\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?"  # JSON web token
    r"|\bA[KS]IA[0-9A-Z]{16}\b"  # Amazon
    r"|\bgh[a-z]_\w{20,}|\bgithub_pat_\w{20,}|\bgl[a-z]{2,6}-[\w-]{16,}"  # GitHub, GitLab
    r"|\bxox[a-z]-[\w-]{10,}|\bxapp-\d-[\w-]{10,}|(?<=hooks\.slack\.com/)\w+/T\w+/[\w/]+"  # Slack
    r"|\b[rsp]k_(?:live|test)_\w{10,}|\bwhsec_[\w+/=]{16,}"  # Stripe
    r"|\bAIza[\w-]{30,}|\bya29\.[\w.-]{20,}|\bGOCSPX-[\w-]{20,}"  # Google
    r"|\bsk-(?=[a-zA-Z_-]{0,200}[0-9])[\w-]{20,}"  # OpenAI, Anthropic and those who follow them
    r"|\bSG\.[\w-]{16,}\.[\w-]{16,}|\bkey-[0-9a-f]{32}\b|\b[0-9a-f]{32}-us\d{1,2}\b"  # senders of mail
    r"|\bnpm_\w{30,}|\bpypi-\w[\w-]{30,}|\brubygems_[0-9a-f]{40,}"  # registries
    r"|\bhf_[A-Za-z0-9]{30,}|\bdop_v1_[0-9a-f]{40,}|\bdapi[0-9a-f]{32}"  # hosts of models, machines, data
    r"|\bshp[a-z]{2}_[0-9a-fA-F]{32}|\bsq0[a-z]{3}-[\w-]{20,}|\bSK[0-9a-f]{32}\b"  # Shopify, Square, Twilio
    r"|\bhv[sbr]\.[\w-]{20,}|\bglsa_\w{20,}|\b\d{8,10}:[\w-]{35}\b"  # Vault, Grafana, Telegram
    r"|-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?s:.*?)(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
)
_CARD_BEGINNINGS = re.compile(r"3[04-9]|4|5[0-8]|2[2-7]|6")
_CARD_DIGITS = range(13, 20)
_NINE = 9
_MOST_BESIDE = 32
_SHORTEST_LOOK = 13
"""What is shorter, and only letters and digits, looks like no secret."""


def without_secrets(text: str, names: SensitiveNames) -> str:
    """Return a text without the secrets in it that can be told by their name or by their looks."""
    if len(text) < _SHORTEST_LOOK and text.isalnum():
        return text
    if "://" in text:
        text = _USER.sub(_masked, text)
    text = _TOKENS.sub(SCRUBBED, text)
    if _HEADER_NAME.search(text):
        text = _HEADER.sub(_masked, text)
    mask_sensitive = _masked_if(lambda name: name in names)
    if "=" in text:
        text = _PAIR.sub(mask_sensitive, text)
    if ":" in text:
        text = _FIELD.sub(mask_sensitive, text)
    text = _SCHEME.sub(_masked, text)
    return _CARD.sub(_masked_card, text)


def is_card_number(digits: str) -> bool:
    """Tell whether digits are a payment card's: length, beginning and check digit fit."""
    if len(digits) not in _CARD_DIGITS or not _CARD_BEGINNINGS.match(digits):
        return False
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - _NINE if value > _NINE else value
    return total % 10 == 0


def without_secret_parameters(
    query: str, names: SensitiveNames, scrub_value: Callable[[str, str], str]
) -> str:
    """Return a query string whose sensitive parameters are masked; the others stay as they were written.

    Args:
        query: As in the URL, encoded.
        names: Which names are sensitive.
        scrub_value: Takes name and value of any other parameter, and returns what is fit to be kept.
    """
    parts = re.split("([&;])", query)
    beside = [part.partition("=")[0] for part in parts if part not in "&;"][:_MOST_BESIDE]
    return "".join(part if part in "&;" else _parameter(part, names, scrub_value, beside) for part in parts)


def _parameter(
    part: str, names: SensitiveNames, scrub_value: Callable[[str, str], str], beside: Sequence[str]
) -> str:
    name, equals, value = part.partition("=")
    if not equals:
        kept = scrub_value("", name)
        return part if kept == name else quote(kept, safe="[]")
    if names.promise(name, value, beside):
        return f"{name}={SCRUBBED}"
    kept = scrub_value(name, value)
    return part if kept == value else f"{name}={quote(kept, safe='[]')}"


def _masked(match: re.Match[str]) -> str:
    return f"{match['name']}{match['sep']}{SCRUBBED}"


def _masked_if(is_sensitive: Callable[[str], bool]) -> Callable[[re.Match[str]], str]:
    def replace(match: re.Match[str]) -> str:
        return _masked(match) if is_sensitive(match["name"]) else match[0]

    return replace


def _masked_card(match: re.Match[str]) -> str:
    return SCRUBBED if is_card_number(re.sub("[ -]", "", match[0])) else match[0]
