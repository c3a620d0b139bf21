# SPDX-License-Identifier: Apache-2.0
"""Results as text, from the same objects that `-o json` prints."""

from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from trustedpods.publisher.core.money import duration_text
from trustedpods.publisher.output import table

Result = dict[str, Any]


def moment(unix: int | None) -> str:
    """`2026-11-21 10:54:03Z`, or a dash."""
    return "-" if not unix else datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def rounded(number: str) -> str:
    """Four digits of a price; JSON has all of them."""
    return f"{float(number):.4g}"


def status_lines(result: Result) -> list[str]:
    """A pod."""
    reason = f": {result['reason']}" if result["reason"] else ""
    lines = [
        f"{result['pod']}  {result['phase']}{reason}",
        f"provider  {result['provider']['name']} [{_trust(result['trust'])}]",
        *_attested(result),
        f"replicas  {result['ready']} ready of {result['replicas']}, version {result['version']}",
        *_failure(result.get("failure")),
    ]
    lines += [f"endpoint  {endpoint['url']}" for endpoint in result.get("endpoints", ())]
    lines += [f"image     {name}: {digest}" for name, digest in result.get("images", {}).items()]
    lines += [f"money     {line}" for line in _money(result)]
    lines += [f"{moment(event['at'])}  {event['reason']}: {event['text']}" for event in result["pod_events"]]
    return lines + _others(result)


def _trust(trust: Result) -> str:
    if trust["class"] == "open":
        return "OPEN"
    return "sealed, SIMULATED" if trust["simulated"] else "sealed"


def _attested(result: Result) -> list[str]:
    attested = result.get("attested")
    if not attested:
        return []
    return [f"attested  {moment(attested['at'])} against {attested['label'] or attested['policy']}"]


def _failure(failure: Result | None) -> list[str]:
    """Why it does not start: how it ended, what it wrote last, when it is tried again."""
    if failure is None:
        return []
    lines = [f"failing   {failure['reason']} ({failure['tries']} in a row)"]
    if failure["exit_code"] is not None or failure["ended_at"]:
        code = "?" if failure["exit_code"] is None else failure["exit_code"]
        lines.append(f"last end  {failure['container']}: exit code {code} at {moment(failure['ended_at'])}")
    lines += [f"          | {line}" for line in failure["lines"].splitlines()]
    by = "by itself" if failure["by_itself"] else "with the first request then"
    return [*lines, f"next try  {moment(failure['next_try_at'])}, {by}"]


def _money(result: Result) -> list[str]:
    token = result["token"]
    lines = [f"deposit {result['deposit']}, claimed {result['claimed']}, accrued {result['accrued']} {token}"]
    if not result["channel_open"]:
        lines.append("the channel has ended")
    elif result["runway_s"] is not None:
        lines.append(f"lasts {duration_text(result['runway_s'])} at the present rate")
    if result.get("unlock_at"):
        lines.append(f"UNLOCKING: the channel can be closed at {moment(result['unlock_at'])}")
    return lines


def _others(result: Result) -> list[str]:
    return [
        f"also      {other['left']} {other['token']} at {other['provider']['name']}, from an earlier deploy "
        f"(`trustedpods close {result['pod']}` gets it back)"
        for other in result.get("other_channels", ())
    ]


def balance_lines(result: Result) -> list[str]:
    """An address and its channels."""
    lines = [
        result["publisher"],
        f"{result['balance']} {result['token']}, {int(result['gas_wei']) / 1e18:.4f} for gas",
    ]
    rows = [
        (
            channel["name"] or "?",
            channel["channel"][:12],
            channel["state"],
            channel["deposit"],
            channel.get("left", ""),
            channel.get("refund", ""),
            moment(channel.get("unlock_at")),
        )
        for channel in result["channels"]
    ]
    header = ("POD", "CHANNEL", "STATE", "DEPOSIT", "LEFT", "REFUND", "UNLOCKS")
    return [*lines, "", *table(header, rows)] if rows else lines


def bill_lines(result: Result) -> list[str]:
    """A bill, line by line, and what does not agree."""
    rows = [
        (
            moment(line["from"]),
            moment(line["up_to"]),
            str(line["cpu_core_ms"]),
            str(line["memory_mib_s"]),
            str(line["storage_mib_s"]),
            str(line["egress_kib"]),
            str(line["ingress_kib"]),
            line["amount"],
            (line["tx"] or "not yet")[:12],
        )
        for line in result["lines"]
    ]
    header = ("FROM", "TO", "CORE-MS", "MIB-S", "STORED", "OUT KIB", "IN KIB", "AMOUNT", "TRANSACTION")
    token = result["token"]
    claimed = "not known" if result["claimed"] is None else f"{result['claimed']} {token}"
    return [
        *table(header, rows),
        "",
        f"total    {result['total']} {token}",
        f"claimed  {claimed}",
        f"open     {result['open']} {token} since the last period",
        *(f"PROBLEM  {problem}" for problem in result["problems"]),
    ]


def audit_lines(result: Result) -> list[str]:
    """Each check of an audit, and the verdict."""
    words = {True: "holds", False: "FAILS", None: "unknown"}
    rows = [(check["check"], words[check["holds"]], check["detail"]) for check in result["checks"]]
    verdict = "nothing contradicts the bill" if result["holds"] else "THE BILL DOES NOT HOLD"
    return [
        *table(("CHECK", "", "WHY"), rows),
        "",
        f"{verdict}: {result['leaves']} periods, {result['total']} {result['token']}",
    ]


def _short(number: str) -> str:
    """A price for people: six digits of what `-o json` has in full."""
    return f"{Decimal(number).normalize(Context(prec=6)):f}"


def provider_lines(result: Result) -> list[str]:
    """Providers with prices; evidence where it was asked for."""
    rows = [
        (
            provider["name"],
            "OPEN" if provider["class"] == "open" else provider["class"],
            provider["region"],
            rounded(provider["core_hour"]),
            rounded(provider["gib_hour"]),
            rounded(provider["stored_gib_month"]),
            rounded(provider["egress_gib"]),
            provider["least_deposit"],
            provider.get("evidence", ""),
        )
        for provider in result["providers"]
    ]
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
    )
    notes = ["This is a localnet: its hardware is SIMULATED."] if result["simulated"] else []
    if any(provider["class"] == "open" for provider in result["providers"]):
        notes.append("OPEN: the provider's operator can read the pods that run there.")
    return [*table(header, rows), f"(in {result['token']})", *([""] if notes else []), *notes]
