# SPDX-License-Identifier: Apache-2.0
"""Results as text, from the same values that `-o json` prints."""

from collections.abc import Iterable
from datetime import UTC, datetime

from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.pod import PodEvent, PodFailure
from trustedpods.publisher.core.money import Token, duration_text
from trustedpods.publisher.core.trust import trust_text
from trustedpods.publisher.output.evidence_text import evidence_text
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.attested import AttestResult
from trustedpods.publisher.results.deployed import VersionsResult
from trustedpods.publisher.results.money import BalanceResult, ChannelBalance, FundResult
from trustedpods.publisher.results.pods import (
    AuditResult,
    BillResult,
    ListedPod,
    ListResult,
    ServiceStatus,
    StatusResult,
    UsageResult,
    VisitedPod,
)
from trustedpods.publisher.results.providers import (
    InspectResult,
    ListedProvider,
    ProvidersResult,
    VerifiedMachine,
)

HOUR_MS = 3_600_000
HOUR_GIB = 3600 * 1024
"""MiB seconds of a GiB hour."""

KIB = 1024

LAST_MOMENT = 253_402_300_799
"""The end of the year 9999, behind which Python knows no dates; others may say any number."""


def moment(unix: int | None) -> str:
    """`2026-11-21 10:54:03Z`, a dash, or the number where it is no date."""
    if not unix:
        return "-"
    if not 0 < unix <= LAST_MOMENT:
        return f"second {unix}"
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def status_lines(result: StatusResult, *, wide: bool = False) -> list[str]:
    """A pod; *wide* with its channel and namespace, and what each replica holds."""
    pod, confirmed = result.pod, result.confirmed
    reason = f": {result.reason}" if result.reason else ""
    lines = [
        f"{pod.name}  {result.phase}{reason}",
        f"provider  {pod.channel.provider.name} [{_trust(pod.machine)}]",
        *_attested(pod),
        f"replicas  {result.ready} ready of {result.replicas}, version {result.version}",
        *_failure(result.failure),
        *(_wide_status(result) if wide else ()),
    ]
    lines += [line for service in result.services for line in _service(service)]
    if confirmed is not None:
        lines += [f"image     {name}: {digest}" for name, digest in confirmed.images.items()]
    lines += [f"money     {line}" for line in _money(result, wide=wide)]
    if result.outliving is not None:
        lines.append(f"volumes   {result.outliving.told(pod.name, pod.token)}")
    lines += event_lines(result.events)
    return lines + _others(pod)


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


def usage_lines(result: UsageResult) -> list[str]:
    """A line for each day, and what it comes to."""
    token = result.pod.token
    rows = [
        (
            moment(day.begins)[:10],
            f"{day.usage.cpu_core_ms / HOUR_MS:.4g}",
            f"{day.usage.memory_mib_s / HOUR_GIB:.4g}",
            f"{day.usage.storage_mib_s / HOUR_GIB:.4g}",
            f"{day.usage.egress_kib / KIB:.4g}",
            f"{day.usage.ingress_kib / KIB:.4g}",
            token.rough(day.amount),
        )
        for day in result.days
    ]
    header = ("DAY", "CORE-H", "GIB-H", "STORED GIB-H", "OUT MIB", "IN MIB", "AMOUNT")
    month = "" if result.month is None else f"; 30 days at this rate: {token.rough(result.month)}"
    return [
        *table(header, rows),
        f"total {token.rough(result.total)}, open {token.rough(result.open_amount)}{month}",
        *(f"PROBLEM  {problem}" for problem in result.problems),
    ]


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
        lines.append(f"lasts {duration_text(result.runway_s)} at the present rate")
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


def funded_lines(result: FundResult) -> list[str]:
    """What was paid, and what there is now."""
    live = result.channel.live
    holds = "" if live is None else f"; the channel holds {result.token.rough(live.left)} now"
    return [f"paid {result.token.text(result.paid)}{holds}"]


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
    return [*table(header, rows), *wrong]


def _wider(row: tuple[str, ...], pod: ListedPod) -> tuple[str, ...]:
    return (*row[:-2], pod.provider, ", ".join(pod.urls), channel_hex(pod.channel))


def _called(pod: ListedPod) -> str:
    return pod.name or channel_hex(pod.channel)


def _pod_row(pod: ListedPod, token: Token) -> tuple[str, ...]:
    ended = pod.left is None
    lasts = "" if ended or pod.error else "no end" if pod.runway_s is None else duration_text(pod.runway_s)
    return (
        _called(pod),
        "unlocking" if pod.unlock_at else pod.phase or "?",
        "" if pod.replicas is None else f"{pod.ready}/{pod.replicas}",
        lasts,
        "" if pod.day is None else token.short(pod.day),
        "" if pod.left is None else token.short(pod.left),
        f"{pod.owner[:10]}/{'?' if pod.daemon is None else pod.daemon}",
        pod.urls[0] if pod.urls else "",
    )


def balance_lines(result: BalanceResult, *, wide: bool = False) -> list[str]:
    """An address and its channels, with *wide* in full."""
    holds = result.token.text if wide else result.token.rough
    lines = [
        result.publisher,
        f"{holds(result.balance)}, {result.gas_wei / 1e18:.4f} for gas",
    ]
    rows = [_channel_row(channel, result.token, wide=wide) for channel in result.channels]
    header = ("POD", "CHANNEL", "STATE", "DEPOSIT", "LEFT", "REFUND", "UNLOCKS")
    return [*lines, "", *table(header, rows)] if rows else lines


def _channel_row(channel: ChannelBalance, token: Token, *, wide: bool) -> tuple[str, ...]:
    shown, amount = channel_hex(channel.channel), token.number if wide else token.short
    return (
        channel.name or "?",
        shown if wide else shown[:12],
        channel.state,
        amount(channel.deposit),
        "" if channel.left is None else amount(channel.left),
        "" if channel.refund is None else amount(channel.refund),
        moment(channel.unlock_at),
    )


def bill_lines(result: BillResult, *, wide: bool = False) -> list[str]:
    """A bill, line by line, and what does not agree; *wide*: amounts in full."""
    bill, token = result.bill, result.pod.token
    text, number = (token.text, token.number) if wide else (token.rough, token.short)
    rows = [
        (
            moment(line.from_),
            moment(line.up_to),
            *map(str, line.usage.quantities),
            number(line.amount),
            "not yet" if line.transaction is None else "0x" + line.transaction.hex()[:10],
        )
        for line in bill.lines
    ]
    header = ("FROM", "TO", "CORE-MS", "MIB-S", "STORED", "OUT KIB", "IN KIB", "AMOUNT", "TRANSACTION")
    claimed = "not known" if result.claimed is None else text(result.claimed)
    return [
        *table(header, rows),
        "",
        f"total    {text(bill.total)}",
        f"claimed  {claimed}",
        f"open     {text(bill.open_amount)} since the last period",
        *(f"PROBLEM  {problem}" for problem in result.problems),
    ]


def audit_lines(result: AuditResult) -> list[str]:
    """Each check of an audit, and the verdict."""
    words = {True: "holds", False: "FAILS", None: "unknown"}
    rows = [(finding.check, words[finding.holds], finding.detail) for finding in result.findings]
    verdict = "nothing contradicts the bill" if result.holds else "THE BILL DOES NOT HOLD"
    return [
        *table(("CHECK", "", "WHY"), rows),
        "",
        f"{verdict}: {result.leaves} periods, {result.pod.token.rough(result.total)}",
    ]


def attest_lines(result: AttestResult, *, draft_only: bool) -> list[str]:
    """The verdict for people; with *draft_only* nothing but the draft, to be sent to a file."""
    if draft_only:
        return str(result.draft).splitlines()
    verdict = result.verdict
    lines = [
        f"{result.provider}: {trust_text(verdict.trust, simulated=verdict.simulated)}",
        f"platform  {verdict.platform}",
        f"chip      {verdict.chip_id.hex() or 'none'}",
        f"policy    {verdict.policy}, matched: {verdict.entry}",
        f"report    sha256:{verdict.report_digest.hex()}",
        f"passed    {', '.join(verdict.checks)}",
    ]
    if verdict.expiry is not None:
        lines.append(f"until     {verdict.expiry.isoformat()} (the vendor's statements)")
    if result.saved is not None:
        lines.append(f"saved     {result.saved}")
    return lines


def provider_lines(result: ProvidersResult, *, wide: bool = False) -> list[str]:
    """Providers with prices; evidence where it was asked for. *wide*: prices in full, and all of a row."""
    rows = [_provider_row(one, result.token, wide=wide) for one in result.providers]
    header = (
        "PROVIDER",
        "CLASS",
        "REGION",
        "CORE/H",
        "GIB/H",
        "STORED GIB/MONTH",
        "OUT/GIB",
        "DEPOSIT",
        "EVIDENCE",
        *(("IN/GIB", "NOTICE", "HARDWARE", "ROW WRITTEN") if wide else ()),
    )
    notes = ["This is a localnet: its hardware is SIMULATED."] if result.simulated else []
    if any(one.trust == "open" for one in result.providers):
        notes.append("OPEN: the provider's operator can read the pods that run there.")
    unfit = [
        f"{one.provider.name}: not for {result.pod}: {one.unfit}" for one in result.providers if one.unfit
    ]
    return [*table(header, rows), f"(in {result.token.symbol})", *unfit, *([""] if notes else []), *notes]


def inspect_lines(result: InspectResult) -> list[str]:
    """What a provider offers beside room for containers."""
    has, verdict = result.capabilities, result.verdict
    node = has.largest_node
    exposed = {"udp": has.udp, "nodePort": has.node_port, "loadBalancer": has.load_balancer}
    classes = [
        f"{one.name} ({'grows' if one.grows else 'does not grow'}; {', '.join(one.access_modes)})"
        for one in has.storage_classes
    ]
    facts = {
        "class": trust_text(verdict.trust, simulated=verdict.simulated),
        "largest node": f"{node.cpu_milli}m CPU, {node.memory_mib} MiB, {node.storage_mib} MiB of disk",
        "storage classes": ", ".join(classes),
        "ingress classes": ", ".join(
            f"{one.name} (annotations: {', '.join(one.annotations) or 'none'})" for one in has.ingress_classes
        ),
        "CSI drivers": ", ".join(has.csi_drivers),
        "expose": ", ".join(["http", "tcp", *(word for word, there in exposed.items() if there)]),
        "hosts by name": "yes" if has.names else "no",
        **{f"label {key}": ", ".join(values) or "many values" for key, values in has.node_labels.items()},
    }
    rows = [(name, value or "none") for name, value in facts.items()]
    return [result.provider.name, *table(("", ""), rows)[1:]]


def _provider_row(one: ListedProvider, token: Token, *, wide: bool) -> tuple[str, ...]:
    prices = (
        one.prices.core_hour,
        one.prices.gib_hour,
        one.prices.stored_gib_month,
        one.prices.egress_gib,
    )
    return (
        one.provider.name,
        "OPEN" if one.trust == "open" else one.trust,
        one.provider.region,
        *map(token.number if wide else token.short, prices),
        token.number(one.least.deposit) if wide else token.short(one.least.deposit, at_least=True),
        evidence_text(one.proof),
        *(
            (
                token.number(one.prices.ingress_gib),
                duration_text(one.least.unlock_s),
                ", ".join(one.tee),
                moment(one.updated_at),
            )
            if wide
            else ()
        ),
    )
