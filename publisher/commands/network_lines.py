# SPDX-License-Identifier: Apache-2.0
"""Leases and copies of a network as text."""

from dataclasses import replace

from trustedpods.protocol.ids import address_from_bytes
from trustedpods.protocol.networks.documents import Copy
from trustedpods.protocol.networks.history import HistoryRecord
from trustedpods.protocol.networks.leases import LeaseStatus
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.networks.plan import Plan, pod_name
from trustedpods.publisher.core.networks.telling import digest, moment, pending_text
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.networks import (
    CopiesResult,
    HistoryResult,
    KeptNetworksResult,
    LeasesResult,
    MigrateResult,
    NetworkBackupResult,
    NetworkFundResult,
    NetworkLogsResult,
    NetworkStatusResult,
    PlanResult,
    RestoreResult,
)


def kept_lines(result: KeptNetworksResult) -> list[str]:
    """A line for each network with the clusters that keep it, and one for each cluster that did not say."""
    where: dict[str, list[str]] = {}
    failed = []
    for cluster, kept in result.clusters.items():
        if isinstance(kept, ErrorReport):
            failed.append(f"{cluster}: not known: {kept.text}")
            continue
        for one in kept:
            where.setdefault(f"{one.founder}/{one.name}", []).append(cluster)
    lines = [f"{name} on {', '.join(clusters)}" for name, clusters in where.items()]
    return [*lines, *failed] or ["no networks"]


def lease_lines(result: LeasesResult) -> list[str]:
    """One line for each cluster, and under it who waits and what was broken."""
    lines = []
    for name, lease in result.clusters.items():
        lines.append(f"{name}: {_holder(lease)}")
        if isinstance(lease, LeaseStatus):
            lines += [
                f"  waits{' aside' if one.aside else ''}: {one.attempt.who} at {one.command.machine}, "
                f"`{one.command.what}` since {moment(one.command.since)}"
                for one in lease.waiting
            ]
            lines += [
                f"  broken {moment(one.at)} by {one.by}: {one.reason} (held by {one.attempt.who}, "
                f"`{one.command.what}`)"
                for one in lease.breaks
            ]
    return lines


def _holder(lease: LeaseStatus | ErrorReport) -> str:
    if isinstance(lease, ErrorReport):
        return f"not known: {lease.text}"
    if lease.holder is None or lease.command is None:
        return "free"
    seconds = -(-(lease.ends_in or 0) // 1000)
    return (
        f"held by {lease.holder.who} at {lease.command.machine}, `{lease.command.what}` since "
        f"{moment(lease.command.since)}, for {seconds} s more unless it is renewed"
    )


def history_lines(result: HistoryResult) -> list[str]:
    """A line for each command: when it began, whose it was, what came of it, which state it left."""
    rows = [
        [
            moment(record.at),
            address_from_bytes(record.by),
            _command_line(record),
            record.result if record.ended else "unfinished",
            str(record.generation),
        ]
        for record in result.records
    ]
    lines = table(["BEGAN", "WHO", "COMMAND", "RESULT", "STATE"], rows)
    return [*lines, f"{result.dropped} older commands were rotated out"] if result.dropped else lines


def _command_line(record: HistoryRecord) -> str:
    words = [record.verb]
    for argument in record.arguments:
        value = "(secret)" if argument.value is None else argument.value
        words.append(f"{argument.name} {value}".rstrip() if argument.name.startswith("-") else value)
    return " ".join(words)


def migrate_lines(result: MigrateResult) -> list[str]:
    """What was done, or would be."""
    if not result.steps:
        return [f"the state has schema {result.to_version} already"]
    if result.document is None:
        return [*result.steps, "nothing was changed; --backup FILE does it, after a backup to FILE"]
    return [*result.steps, f"generation {result.document.generation} has schema {result.to_version} now"]


def restore_lines(result: RestoreResult) -> list[str]:
    """What the backup brought back."""
    if result.document == result.saved:
        return [f"generation {result.saved.generation} of the backup counts already"]
    told = f"generation {result.document.generation} is generation {result.saved.generation} of the backup"
    return [*result.differences, told]


def copy_lines(result: CopiesResult) -> list[str]:
    """A table of the copies, and what is to be said of them together."""
    rows = []
    for name, copy in result.clusters.items():
        if isinstance(copy, Copy):
            rows.append([name, str(copy.current.generation), digest(copy.current), pending_text(copy)])
        else:
            rows.append([name, "-", f"not known: {copy.text}", "-"])
    lines = table(["CLUSTER", "GENERATION", "CONTENT", "PENDING"], rows)
    if result.being_written:
        lines.append("being written; the next command brings it to its end")
    if result.difference:
        lines.append(f"the copies differ in their {result.difference}")
    return lines


def plan_lines(plan: Plan, *, done: bool = False) -> list[str]:
    """What an apply would change, or did."""
    lines = [f"{plan.changes} {'changed' if done and plan.changes else 'to change'}"]
    lines += [
        f"  member {one.address}: {one.before or 'no member'} -> {one.role or 'no member'}"
        for one in plan.members
    ]
    return lines + [f"  node {one.node}: {one.doing} in {one.cluster}, {one.why}" for one in plan.nodes]


def outlook_lines(result: PlanResult) -> list[str]:
    """What an apply would do to the team and to each node, why, its cost an hour, and the tunnels."""
    rows = [
        [
            one.node,
            one.effect,
            one.cluster,
            "-" if one.an_hour is None else result.token.rough(one.an_hour),
            "-" if one.identity == "none" else one.identity,
            one.why,
        ]
        for one in result.nodes
    ]
    lines = plan_lines(replace(result.plan, nodes=()))[1:]
    if rows:
        lines += table(["NODE", "WHAT", "CLUSTER", "AN HOUR", "IDENTITY", "WHY"], rows)
        lines.append(f"{result.token.rough(result.an_hour)} an hour at full size, by the registry's prices")
    name = NetworkName(result.network.founder, result.network.name)
    lines += [
        f"node {one.node} is stopped, and stays so: "
        f"`trustedpods start {pod_name(name, one.node)}` lets it run"
        for one in result.nodes
        if one.stopped
    ]
    lines += [
        f"tunnel of {one.node} to {one.other}{f': nothing comes by it, {one.lacks}' if one.lacks else ''}"
        for one in result.tunnels
    ]
    return [f"{result.plan.changes} to change", *lines]


def node_log_lines(result: NetworkLogsResult) -> list[str]:
    """What each node wrote, each line behind the node's name."""
    lines = []
    for name, one in result.nodes.items():
        if isinstance(one, ErrorReport):
            lines.append(f"{name}: not known: {one.text}")
            continue
        for piece in one.pieces:
            text = piece.data.decode(errors="replace")
            lines += [f"{name} {piece.container}/{piece.replica}: {line}" for line in text.splitlines()]
    return lines


def paid_lines(result: NetworkFundResult) -> list[str]:
    """What was paid for each node, and in all."""
    rows = [
        [name, "-", one.text]
        if isinstance(one, ErrorReport)
        else [name, result.token.text(one.paid), one.pod]
        for name, one in result.nodes.items()
    ]
    return [*table(["NODE", "PAID", "POD"], rows), f"{result.token.text(result.paid)} in all"]


def backup_lines(result: NetworkBackupResult) -> list[str]:
    """The backup of each node, or why there is none."""
    rows = [
        [name, "-", one.text] if isinstance(one, ErrorReport) else [name, str(one.size), one.name]
        for name, one in result.nodes.items()
    ]
    left = [f"nothing to back up: {', '.join(result.left_out)}"] if result.left_out else []
    return [*table(["NODE", "BYTES", "BACKUP"], rows), *left]


def node_lines(result: NetworkStatusResult) -> list[str]:
    """A table of a network's nodes; under it what keeps one from its end."""
    rows, notes = [], []
    for name, node in result.nodes.items():
        live = node.live
        if isinstance(live, ErrorReport):
            notes.append(f"{name}: {live.text}")
        says = "-" if live is None else "not known" if isinstance(live, ErrorReport) else live.phase
        rows.append([name, node.cluster, node.phase, says, node.pod, node.publisher, node.url or "-"])
    lines = [f"network {result.network.name}, generation {result.generation}, {len(result.members)} members"]
    if rows:
        lines += table(["NODE", "CLUSTER", "PHASE", "POD IS", "POD", "PUBLISHER", "ADDRESS"], rows)
    linked = [
        [alias, link.state, str(link.owner), ", ".join(link.nodes) or "-"]
        for alias, link in result.links.items()
    ]
    return lines + notes + (table(["LINK", "STATE", "OWNER", "NODES"], linked) if linked else [])
