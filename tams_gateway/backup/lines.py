"""Entries as lines of JSON; bodies, which may be any bytes, in Base64."""

import json
from collections.abc import Mapping
from typing import Final

import msgspec

from tams_gateway.storage.content import Entry

_decoder: Final = msgspec.json.Decoder(Entry)


def _plain(value: object) -> object:
    """Turn the fields of a record, which a store may give as any mapping, into a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} does not belong into a backup")


_encode: Final = msgspec.json.Encoder(enc_hook=_plain).encode


def encode(entry: Entry) -> bytes:
    """Return an entry as a line, with its end."""
    try:
        return _encode(entry) + b"\n"
    except UnicodeEncodeError:  # A lone surrogate, which only the slower one can write.
        return json.dumps(msgspec.to_builtins(entry, enc_hook=_plain)).encode() + b"\n"


def decode(line: bytes) -> Entry:
    """Return the entry of a line. Raises `msgspec.DecodeError` or ValueError for any other."""
    try:
        entry: Entry = _decoder.decode(line)
    except msgspec.DecodeError:  # A lone surrogate again.
        entry = msgspec.convert(json.loads(line), Entry)
    return entry
