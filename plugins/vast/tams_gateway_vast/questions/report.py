"""All questions asked, and the report of the answers."""

import importlib.metadata
import time
from collections.abc import Callable, Iterator

import msgspec
import structlog

from tams_gateway.storage.errors import StoreError
from tams_gateway_vast.questions.conflicts import conflicts
from tams_gateway_vast.questions.ends import ends
from tams_gateway_vast.questions.lab import Answer, Lab, scratch, told
from tams_gateway_vast.questions.limits import limits
from tams_gateway_vast.settings import Settings
from tams_gateway_vast.writing import probes


class Report(msgspec.Struct, frozen=True):
    """What was found on a cluster; holds no credentials and no names of hosts."""

    version: str
    endpoints: int
    plugin: str
    sdk: str
    seconds: float
    answers: list[Answer]


class Asked(msgspec.Struct, frozen=True):
    """How much is asked: `rounds` of each measurement, `idle` seconds, a `bucket` of objects."""

    rounds: int = 20
    idle: int = 0
    bucket: str | None = None


def ask(
    settings: Settings,
    log: structlog.typing.FilteringBoundLogger,
    asked: Asked,
    said: Callable[[str], None],
) -> Report:
    """Ask everything in a new schema, and drop it. Raises `StoreError` where that fails.

    `said` is called with each question that has been answered.
    """
    begun = time.monotonic()
    lab = Lab(scratch(settings), log, asked.rounds)
    version = ".".join(map(str, lab.cluster.version))
    lab.make_schema()
    answers = []
    try:
        for answer in _answers(lab, asked):
            answers.append(_without_hosts(answer, settings))
            said(answer.question)
    finally:
        lab.drop_schema()
    return Report(
        version,
        len(settings.endpoints),
        importlib.metadata.version("tams-gateway-vast"),
        importlib.metadata.version("vastdb"),
        round(time.monotonic() - begun, 1),
        sorted(answers, key=lambda one: one.number),
    )


def _without_hosts(answer: Answer, settings: Settings) -> Answer:
    found = dict(answer.found)
    for number, url in enumerate(settings.endpoints):
        found = {what: text.replace(url, f"endpoint {number}") for what, text in found.items()}
    return msgspec.structs.replace(answer, found=found)


def _answers(lab: Lab, asked: Asked) -> Iterator[Answer]:
    yield Answer(0, "Which guards hold", _guards(lab))
    groups = (conflicts(lab), ends(lab, asked.idle), limits(lab, asked.bucket))
    for group in groups:
        try:
            yield from group
        except StoreError as error:
            # The rest of the group is missing; the others are asked all the same.
            yield Answer(99, "Not all could be asked", {"because": told(error)})


def _guards(lab: Lab) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in probes.NAMES:
        begun = time.monotonic()
        verdict = probes.settled(name, lab.cluster, lab.settings)
        seconds = time.monotonic() - begun
        found[name] = f"{'no: ' + verdict.reason if verdict.reason else 'yes'}; {seconds:.2f} s"
    return found


def markdown(report: Report) -> str:
    """Return the report as Markdown."""
    lines = [
        f"# What VAST {report.version} answers",
        "",
        f"{report.endpoints} endpoints, tams-gateway-vast {report.plugin}, vastdb {report.sdk}, "
        f"{report.seconds} s.",
    ]
    for answer in report.answers:
        lines += ["", f"## {answer.number}. {answer.question}", "", "| | |", "|---|---|"]
        lines += [f"| {_cell(what)} | {_cell(found)} |" for what, found in answer.found.items()]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
