"""Texts as Arrow takes them: UTF-8 has no lone surrogates, ids and tags may."""

import re
from typing import Final

LONGEST: Final = 100_000
"""The most bytes of a text in a typed column; a value of VAST has at most 128 KiB."""

_ODD: Final = re.compile("[\ud800-\udfff\uffff]")
_ESCAPED: Final = re.compile("\uffff([0-9a-f]{4})")


def stored(text: str) -> str:
    """Return a text for a column: a lone surrogate, and the mark itself, stand as mark and hex."""
    if text.isascii():
        return text
    return _ODD.sub(lambda odd: f"\uffff{ord(odd[0]):04x}", text)


def loaded(text: str) -> str:
    """Return the text that `stored` got."""
    if "\uffff" not in text:
        return text
    return _ESCAPED.sub(lambda odd: chr(int(odd[1], 16)), text)


def cut(text: str) -> str:
    """Return what of a text stands in a typed column: its beginning, if it is too long."""
    if len(text) * 4 <= LONGEST:
        return stored(text)
    return stored(text).encode()[:LONGEST].decode(errors="ignore")
