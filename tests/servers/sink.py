"""A sink that records the events of a real server in a file: the guest plugin of the tests."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_GUEST = Path(__file__).parents[1] / "plugins" / "guest_sink"


def with_a_sink(folder: Path, sections: str = "") -> Mapping[str, str]:
    """Return an environment for `serve` in which all events are recorded in the folder.

    `sections` are further ones of the config.
    """
    config = folder / "gateway.toml"
    config.write_text(
        f'{sections}[[events]]\nplugin = "guest-sink"\npath = "{_recorded(folder)}"\n'
    )
    paths = [str(_GUEST), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"TAMS_GATEWAY_CONFIG": str(config), "PYTHONPATH": os.pathsep.join(paths)}


def added(folder: Path) -> list[dict[str, Any]]:
    """Return the bodies of the `flows/segments_added` events, in the order of delivery."""
    if not _recorded(folder).exists():
        return []
    # What a kill cut short comes again in a line of its own, perhaps behind its torn beginning.
    lines = _recorded(folder).read_bytes().split(b"\n")[:-1]
    whole = [b'{"type"' + line.rpartition(b'{"type"')[2] for line in lines]
    events = [json.loads(line) for line in whole]
    return [one["event"] for one in events if one["type"] == "flows/segments_added"]


def _recorded(folder: Path) -> Path:
    return folder / "events"
