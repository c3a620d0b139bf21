# SPDX-License-Identifier: Apache-2.0
"""One pod as the page shows it: what it does, why, since when, what to do next, and what it costs. Pure."""

from dataclasses import dataclass

from trustedpods.protocol.local_page.texts import MAX_WORD, clean, when
from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.page.charts import Charts, charts_of
from trustedpods.publisher.page.pods_view import LOW_S, WebAddress
from trustedpods.publisher.page.texts import amount, lasts, log_text
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import BillResult, StatusResult
from trustedpods.publisher.results.watched import OverviewResult

MAX_EVENTS = 40
"""The newest: `trustedpods events` has all that the provider keeps."""

MAX_PROBLEMS = 20

MAX_SERVICES = 20


@dataclass(frozen=True, slots=True)
class Fact:
    """A name and what it is."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened to the pod."""

    at: str
    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service and where it is reached."""

    name: str
    expose: str
    addresses: tuple[WebAddress, ...]


@dataclass(frozen=True, slots=True)
class BillView:
    """What the pod cost. `problems`: what does not agree; `trouble`: why there is no bill."""

    facts: tuple[Fact, ...]
    problems: tuple[str, ...]
    trouble: str
    charts: Charts | None


@dataclass(frozen=True, slots=True)
class PodView:
    """All of a pod, as texts; `warns` marks a phase that somebody should look at."""

    name: str
    phase: str
    warns: bool
    why: str
    since: str
    steps: tuple[str, ...]
    facts: tuple[Fact, ...]
    services: tuple[ServiceRow, ...]
    events: tuple[EventRow, ...]
    log: str
    log_trouble: str
    bill: BillView


def pod_view(result: OverviewResult) -> PodView:
    """Texts of a visit to the pod's provider."""
    status = result.status
    newest = max((event.at for event in status.events), default=None)
    log = result.log
    return PodView(
        name=clean(status.pod.name),
        phase=clean(status.phase, MAX_WORD),
        warns=status.failure is not None or status.phase not in _WELL,
        why=_why(status),
        since=when(newest),
        steps=next_steps(status),
        facts=_facts(status),
        services=tuple(
            ServiceRow(clean(one.name), clean(one.expose), tuple(map(WebAddress.of, one.urls)))
            for one in status.services[:MAX_SERVICES]
        ),
        events=tuple(
            EventRow(when(event.at), clean(event.reason, MAX_WORD), clean(event.text))
            for event in reversed(status.events[-MAX_EVENTS:])
        ),
        log=log_text(b"".join(piece.data for piece in log)) if isinstance(log, tuple) else "",
        log_trouble=_trouble(log) if isinstance(log, ErrorReport) else "",
        bill=_bill(result.bill, status),
    )


_WELL = frozenset({"serving", "parked", "starting", "importing", "received", "waiting-channel"})


def _trouble(error: ErrorReport) -> str:
    return clean(f"{error.text}; {error.hint}" if error.hint else error.text)


def _why(status: StatusResult) -> str:
    if status.failure is not None:
        return clean(status.failure.reason)
    if status.reason:
        return clean(status.reason)
    if status.phase == "serving" and status.replicas == 0:
        return "nobody asks for it: it sleeps, and the next request wakes it"
    return ""


def next_steps(status: StatusResult) -> tuple[str, ...]:
    """What a person does now, with the command to type; empty where nothing is to be done."""
    name, live, failure = status.pod.name, status.pod.channel.live, status.failure
    steps = []
    if failure is not None:
        by = "by itself" if failure.by_itself else "with the first request then"
        steps.append(
            f"it is tried again at {when(failure.next_try_at)}, {by}; `trustedpods logs {name} --previous` "
            f"shows how it ended, `trustedpods rollback {name}` goes back to the version before"
        )
    if status.phase == "awaiting-key":
        steps.append(f"its provider was restarted: `trustedpods status {name}` releases the pod again")
    if status.parked_at is not None:
        steps.append(f"stopped since {when(status.parked_at)}: `trustedpods start {name}` lets it run again")
    if status.phase in ("failed", "stopped"):
        steps.append(f"`trustedpods deploy FILE` lets it run again, `trustedpods delete {name}` ends it")
    if live is None:
        steps.append("its channel has ended: `trustedpods deploy FILE` begins it anew")
    elif live.unlock_at:
        steps.append(f"`trustedpods close {name}` gets the deposit back from {when(live.unlock_at)} on")
    elif status.runway_s is not None and status.runway_s < LOW_S:
        steps.append(f"its money ends soon: `trustedpods fund {name} 7d` pays for a week at its cap")
    return tuple(map(clean, steps))


def _facts(status: StatusResult) -> tuple[Fact, ...]:
    pod, token, verdict = status.pod, status.pod.token, status.pod.machine.verdict
    live = pod.channel.live
    left = None if live is None else max(0, live.left - status.accrued)
    rows = [
        ("Replicas", f"{status.ready} ready of {status.replicas}, version {status.version}"),
        ("Each holds", f"{status.cpu_milli}m CPU, {status.memory_mib} MiB of memory"),
        ("Provider", pod.channel.provider.name),
        ("Machine", f"{trust_text(verdict.trust, simulated=verdict.simulated)}: {verdict.platform}"),
        ("Attested", when(pod.attested.at)),
        ("Left", amount(left, token)),
        ("Lasts", "the channel has ended" if live is None else lasts(status.runway_s)),
        ("Costs", _rate(status, left)),
    ]
    if status.failure is not None and status.failure.exit_code is not None:
        end = f"exit code {status.failure.exit_code} at {when(status.failure.ended_at)}"
        rows.append(("Last end", f"{status.failure.container}: {end}, {status.failure.tries} in a row"))
    return tuple(Fact(name, clean(text)) for name, text in rows)


def _rate(status: StatusResult, left: int | None) -> str:
    if not status.runway_s or not left:
        return "-"
    token = status.pod.token
    return f"{amount(left * 86400 // status.runway_s, token)} a day at the present rate"


def _bill(found: BillResult | ErrorReport, status: StatusResult) -> BillView:
    if isinstance(found, ErrorReport):
        return BillView((), (), _trouble(found), None)
    bill, token = found.bill, found.pod.token
    seconds = bill.lines[-1].up_to - bill.lines[0].from_ if bill.lines else 0
    facts = (
        Fact("Signed periods", f"{len(bill.lines)}, over {duration_text(max(0, seconds))}"),
        Fact("They cost", amount(bill.total, token)),
        Fact("Claimed so far", "not known" if found.claimed is None else amount(found.claimed, token)),
        Fact("Since the last one", amount(bill.open_amount, token)),
    )
    problems = tuple(map(clean, found.problems[:MAX_PROBLEMS]))
    return BillView(facts, problems, "", charts_of(bill.lines, status.cpu_milli, token))
