"""Make any text storable: the names come from routes, users and headers, some of them hostile."""

from __future__ import annotations

from hashlib import blake2b

_DIGEST_BYTES = 8


def storable(text: object, length: int) -> str:
    """Return the text fit for a column of this many characters.

    NUL, which PostgreSQL refuses, and lone surrogates, which no encoding has, are replaced. Spaces at the
    end, which MySQL does not compare, are dropped. Longer text is cut and ends in a digest of the whole, so
    that two long names stay two.
    """
    clean = str(text)
    if not clean.isascii():
        clean = clean.encode("utf-8", "replace").decode("utf-8")
    if "\0" in clean:
        clean = clean.replace("\0", "\N{REPLACEMENT CHARACTER}")
    clean = clean.rstrip(" ")
    if len(clean) <= length:
        return clean
    # At most half of a short column.
    digest = blake2b(clean.encode("utf-8"), digest_size=min(_DIGEST_BYTES, length // 4)).hexdigest()
    return f"{clean[: length - len(digest) - 1]}~{digest}"
