"""Request bodies: JSON into typed values, every fault with its place and reason."""

import re
from typing import Annotated, Generic, TypeAlias, TypeVar

import msgspec

from tams_gateway.domain.errors import Invalid
from tams_gateway.domain.identifiers import UUID_PATTERN
from tams_gateway.domain.timerange import MAX_NS, MIN_NS, TIMERANGE, TIMESTAMP

T = TypeVar("T")

TIMERANGE_PATTERN = rf"^{TIMERANGE}\Z"
TIMESTAMP_PATTERN = rf"^{TIMESTAMP}\Z"
LOOSE_MIME_PATTERN = r"^[^\s/]+/[^\s/]+\Z"
MIME_PATTERN = (
    r"^(application|audio|font|example|image|message|model|multipart|text|video"
    r"|x-(?:[0-9A-Za-z!#$%&'*+.^_`|~-]+))/([0-9A-Za-z!#$%&'*+.^_`|~-]+)\Z"
)

Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=MIN_NS, le=MAX_NS)]
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=MAX_NS)]
Positive: TypeAlias = Annotated[int, msgspec.Meta(gt=0, le=MAX_NS)]
TimerangeText: TypeAlias = Annotated[str, msgspec.Meta(pattern=TIMERANGE_PATTERN)]
TimestampText: TypeAlias = Annotated[str, msgspec.Meta(pattern=TIMESTAMP_PATTERN)]
LooseMime: TypeAlias = Annotated[str, msgspec.Meta(pattern=LOOSE_MIME_PATTERN)]
Mime: TypeAlias = Annotated[str, msgspec.Meta(pattern=MIME_PATTERN)]

Label: TypeAlias = Annotated[str, msgspec.Meta(max_length=255)]
"""A label: page keys and links carry it, so its length is bounded."""

UrlText: TypeAlias = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
"""A URL of a client's: a listing repeats it for each segment, so its length is bounded."""

_WORDS = {
    UUID_PATTERN: "a UUID in lower case (versions 1 to 5)",
    TIMERANGE_PATTERN: "a timerange, as in [0:0_10:0)",
    TIMESTAMP_PATTERN: "a timestamp, as in 10:0",
    LOOSE_MIME_PATTERN: "a media type, as in video/mp2t",
    MIME_PATTERN: "a media type, as in video/mp2t, without parameters",
}


_SLOW_BYTES = 2**20
"""The largest body that is looked at a second time, as plain values, which take much memory."""


class Body(Generic[T]):
    """A decoder of request bodies into one type, made once for each type.

    Unknown members are dropped, unless the type forbids them (R-GEN-08).
    """

    def __init__(self, shape: type[T]) -> None:
        self._shape = shape
        self._decoder = msgspec.json.Decoder(shape)

    def decode(self, body: bytes) -> T:
        """Return the value; raises `Invalid` that names the JSON pointer and the reason."""
        try:
            return self._decode(body)
        except msgspec.ValidationError as error:
            raise Invalid(_explain(str(error))) from error
        except RecursionError as error:
            raise Invalid.at("", "the JSON is nested too deeply") from error
        except UnicodeDecodeError as error:
            raise Invalid.at("", "the JSON is not UTF-8") from error
        except msgspec.DecodeError as error:
            raise Invalid.at("", f"this is no JSON document ({error})") from error

    def _decode(self, body: bytes) -> T:
        try:
            return self._decoder.decode(body)
        except msgspec.ValidationError as error:
            if "got `float`" not in str(error) or len(body) > _SLOW_BYTES:
                raise
        # JSON Schema counts 5.0 as an integer, msgspec does not.
        return msgspec.convert(_with_integers(msgspec.json.decode(body)), self._shape)


def _with_integers(value: object) -> object:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _with_integers(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_integers(item) for item in value]
    return value


def _explain(message: str) -> str:
    """Turn msgspec's `... - at `$.a[0]`` into `/a/0: ...`, patterns into words."""
    reason, _, path = message.partition(" - at ")
    # msgspec writes the pattern by repr, which doubles each backslash.
    for pattern, words in _WORDS.items():
        reason = reason.replace(f"`str` matching regex {pattern!r}", words)
    path = path.strip("`").removeprefix("key in `").removeprefix("$")
    # `[...]` stands for a member of a mapping, whose name msgspec does not tell.
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path.replace("[...]", "/*").replace(".", "/"))
    return f"{pointer or 'body'}: {reason[:1].lower()}{reason[1:]}"
