# SPDX-License-Identifier: Apache-2.0
"""Pods as text: one, a list of them, what became of them, their versions."""

from collections.abc import Iterable

from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.pod import PodEvent, PodFailure, PublisherRoom
from trustedpods.publisher.commands.lines.moments import moment
from trustedpods.publisher.core.money import Token, duration_text
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.deployed import VersionsResult
from trustedpods.publisher.results.pods import (
    ListedPod,
    ListResult,
    ServiceStatus,
    StatusResult,
    VisitedPod,
)
from trustedpods.publisher.results.providers import (
    VerifiedMachine,
)


def status_lines(result: StatusResult, *, wide: bool = False) -> list[str]:
    """A pod; *wide* with its channel and namespace, and what each replica holds."""
    pod, confirmed = result.pod, result.confirmed
    reason = f": {result.reason}" if result.reason else ""
    lines = [
        f"{pod.name}  {_shown(result.phase, result.replicas)}{reason}",
        f"provider  {pod.channel.provider.name} [{_trust(pod.machine)}]",
        *_attested(pod),
        f"replicas  {result.ready} ready of {result.replicas}, version {result.version}",
        *(
            [f"request   the last one began {moment(result.last_request_at)}"]
            if result.last_request_at
            else []
        ),
        *([f"leaves    {_leaves(result.drain_at)}"] if result.drain_at else []),
        *([f"parked    {_stopped(pod.name, result.parked_at)}"] if result.parked_at else []),
        *([f"room      {_room(result.room)}"] if result.room else []),
        *_failure(result.failure),
        *(_wide_status(result) if wide else ()),
    ]
    lines += [line for service in result.services for line in _service(service)]
    if confirmed is not None:
        lines += [f"image     {name}: {digest}" for name, digest in confirmed.images.items()]
    lines += [f"money     {line}" for line in _money(result, wide=wide)]
    if result.outliving is not None:
        lines.append(f"volumes   {result.outliving.told(pod.name, pod.token)}")
    if result.backups is not None:
        lines.append(result.backups.line.replace("backups  ", "backups   ", 1))
    lines += event_lines(result.events)
    return lines + _others(pod)


def _room(room: PublisherRoom) -> str:
    """What may still be started: with all replicas that may run."""
    parts = [
        f"{left} {unit}"
        for left, unit in (
            (room.pods, "pods"),
            (room.cpu_milli, "m of CPU"),
            (room.memory_mib, "MiB of memory"),
        )
        if left is not None
    ]
    return f"you may still start {', '.join(parts)} at this provider"


def _shown(phase: str, replicas: int | None) -> str:
    """The provider's word for the phase; a pod that serves with no replica sleeps until it is asked for."""
    return "asleep" if phase == "serving" and replicas == 0 else phase


def _wide_status(result: StatusResult) -> list[str]:
    """What scripts and operators ask for."""
    confirmed = result.confirmed
    lines = [
        f"channel   {channel_hex(result.pod.channel.id)}",
        f"each      {result.cpu_milli}m CPU, {result.memory_mib}Mi of memory",
    ]
    if confirmed is not None:
        lines.append(f"namespace {confirmed.namespace}, generation {confirmed.generation}")
    return lines


def event_lines(events: Iterable[PodEvent]) -> list[str]:
    """A line for each thing that happened to a pod."""
    return [f"{moment(event.at)}  {event.reason}: {event.text}" for event in events]


def _service(service: ServiceStatus) -> list[str]:
    """A line for each address; a service that is not exposed has none, and says so."""
    urls = service.urls or ("not reached from outside" if service.expose == "none" else "no address yet",)
    return [f"service   {service.name} ({service.expose}): {url}" for url in urls]


def _trust(machine: VerifiedMachine) -> str:
    if machine.verdict.trust == "open":
        return "OPEN"
    return "sealed, SIMULATED" if machine.verdict.simulated else "sealed"


def _attested(pod: VisitedPod) -> list[str]:
    attested = pod.attested
    return [f"attested  {moment(attested.at)} against {attested.label or attested.policy or 'built-in'}"]


def _failure(failure: PodFailure | None) -> list[str]:
    """Why it does not start: how it ended, what it wrote last, when it is tried again."""
    if failure is None:
        return []
    lines = [f"failing   {failure.reason} ({failure.tries} in a row)"]
    if failure.exit_code is not None or failure.ended_at:
        code = "?" if failure.exit_code is None else failure.exit_code
        lines.append(f"last end  {failure.container}: exit code {code} at {moment(failure.ended_at)}")
    lines += [f"          | {line}" for line in failure.lines.splitlines()]
    by = "by itself" if failure.by_itself else "with the first request then"
    return [*lines, f"next try  {moment(failure.next_try_at)}, {by}"]


def _money(result: StatusResult, *, wide: bool) -> list[str]:
    token, live = result.pod.token, result.pod.channel.live
    amounts = (result.deposit, result.claimed, result.accrued)
    deposit, claimed, accrued = map(token.number if wide else token.short, amounts)
    lines = [f"deposit {deposit}, claimed {claimed}, accrued {accrued} {token.symbol}"]
    if live is None:
        return [*lines, "the channel has ended"]
    if result.runway_s is not None:
        costs = "" if not result.day else f", {token.rough(result.day)} a day"
        lines.append(f"lasts {duration_text(result.runway_s)} at the present rate{costs}")
    else:
        lines.append("costs nothing at the present rate")
    if live.unlock_at:
        lines.append(f"UNLOCKING: the channel can be closed at {moment(live.unlock_at)}")
    return lines


def _others(pod: VisitedPod) -> list[str]:
    return [
        f"also      {pod.token.rough(other.live.left)} at {other.provider.name}, from an earlier deploy "
        f"(`trustedpods close {pod.name}` gets it back)"
        for other in pod.others
        if other.live is not None
    ]


def version_lines(result: VersionsResult) -> list[str]:
    """A line for each version that can be gone back to."""
    if not result.versions:
        return ["no version of it is kept on this machine"]
    rows = [
        (
            str(one.generation),
            moment(one.generation // 1000),
            "serves" if one.serves else "",
            ", ".join(f"{name}: {digest[:19]}" for name, digest in one.images.items()),
        )
        for one in result.versions
    ]
    return table(("GENERATION", "SENT", "", "IMAGES"), rows)


def list_lines(result: ListResult, *, wide: bool = False) -> list[str]:
    """A line for each pod, and below them why some could not be asked about.

    *wide*: providers in full, all addresses, and the channel, which every verb takes as a name.
    """
    if not result.pods:
        return ["no pods; `trustedpods deploy FILE` runs one"]
    header: tuple[str, ...] = ("POD", "PHASE", "READY", "LASTS", "PER DAY", "LEFT", "PROVIDER", "URL")
    rows = [_pod_row(pod, result.token) for pod in result.pods]
    if wide:
        header = (*header, "CHANNEL")
        rows = [_wider(row, pod) for row, pod in zip(rows, result.pods, strict=True)]
    wrong = [f"{_called(pod)}: {pod.error.text}" for pod in result.pods if pod.error is not None]
    stopped = [
        f"{_called(pod)}: {_stopped(_called(pod), pod.parked_at)}" for pod in result.pods if pod.parked_at
    ]
    return [*table(header, rows), *stopped, *wrong]


def _leaves(at: int) -> str:
    return f"the provider removes all its pods at {moment(at)}: deploy this one elsewhere before"


def _stopped(name: str, since: int) -> str:
    return f"stopped since {moment(since)}; `trustedpods start {name}` lets it run again"


def _wider(row: tuple[str, ...], pod: ListedPod) -> tuple[str, ...]:
    return (*row[:-2], pod.provider, ", ".join(pod.urls), channel_hex(pod.channel))


def _called(pod: ListedPod) -> str:
    return pod.name or channel_hex(pod.channel)


def _pod_row(pod: ListedPod, token: Token) -> tuple[str, ...]:
    ended = pod.left is None
    lasts = "" if ended or pod.error else "no end" if pod.runway_s is None else duration_text(pod.runway_s)
    return (
        _called(pod),
        "unlocking" if pod.unlock_at else _shown(pod.phase or "?", pod.replicas),
        "" if pod.replicas is None else f"{pod.ready}/{pod.replicas}",
        lasts,
        "" if pod.day is None else token.short(pod.day),
        "" if pod.left is None else token.short(pod.left),
        f"{pod.owner[:10]}/{'?' if pod.daemon is None else pod.daemon}",
        pod.urls[0] if pod.urls else "",
    )
