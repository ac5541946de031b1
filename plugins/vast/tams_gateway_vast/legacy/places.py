"""Where the bytes of an object may be: its key is written in more than one place, or in none."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final
from urllib.parse import unquote, urlsplit

from tams_gateway_vast.legacy.documents import Document
from tams_gateway_vast.legacy.values import Row, items, moment, text

TEMPLATES: Final = ("{yyyy}/{mm}/{dd}/{object_id}", "{object_id}")
"""Keys to try where nothing says one, with the dates at which object and segment were made."""

_SIGNED: Final = ("x-amz-signature=", "signature=", "awsaccesskeyid=")
_LONGEST: Final = 1024


class Places:
    """Finds keys and URLs in rows; `templates` make further keys."""

    def __init__(self, templates: Sequence[str]) -> None:
        self._templates = templates or TEMPLATES

    def of(self, segment: Row, objects: Sequence[Row]) -> tuple[list[str], list[Document]]:
        """Return the keys at which the bytes may be, best first, and URLs of other servers."""
        object_id = text(segment, "object_id")
        written = [text(row, "storage_path") for row in (segment, *objects)]
        keys = [key for path in written if path for key in _keys(path)]
        others: dict[str, str] = {}
        for url, label in _urls(segment):
            path = unquote(urlsplit(url).path)
            if object_id in path or any(key and path.endswith(f"/{key}") for key in keys):
                keys += _keys(url)
            elif not any(sign in url.lower() for sign in _SIGNED):
                label = label or urlsplit(url).netloc
                others[f"{label} {len(others)}" if label in others else label] = url
        for day in _days(segment, *objects):
            keys += [
                template.format(
                    yyyy=day[:4],
                    mm=day[5:7],
                    dd=day[8:],
                    object_id=object_id,
                    flow_id=text(segment, "flow_id"),
                )
                for template in self._templates
            ]
        urls: list[Document] = [{"url": url, "label": label} for label, url in others.items()]
        return [key for key in dict.fromkeys(keys) if _is_key(key)], urls


def _keys(path: str) -> Iterator[str]:
    """Yield what a path or URL may mean as a key: it may begin with the name of the bucket."""
    if "://" in path:
        parts = urlsplit(path)
        key = unquote(parts.path).lstrip("/")
        if parts.scheme != "s3":
            yield key.partition("/")[2]
        yield key
    else:
        yield path.removeprefix("./").lstrip("/")
        yield path.removeprefix("./").lstrip("/").partition("/")[2]


def _urls(segment: Row) -> Iterator[tuple[str, str]]:
    try:
        found = items(segment, "get_urls")
    except ValueError:
        return
    for one in found:
        if isinstance(one, str):
            yield one, ""
        elif isinstance(one, dict) and isinstance(one.get("url"), str):
            yield one["url"], str(one.get("label") or "")


def _days(*rows: Row) -> Iterable[str]:
    """Return the days on which something was made, and those before: a key is older than it."""
    times = [time for row in rows if (time := moment(row, "created")) is not None]
    days = [day for time in times for day in (time, time - timedelta(days=1))]
    return dict.fromkeys(day.strftime("%Y-%m-%d") for day in days) or [""]


def _is_key(key: str) -> bool:
    if not 0 < len(key.encode()) <= _LONGEST:
        return False
    return not {"", ".", ".."} & set(key.split("/"))
