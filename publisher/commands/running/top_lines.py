# SPDX-License-Identifier: Apache-2.0
"""`top` as text."""

from trustedpods.publisher.core.money import Token, duration_text
from trustedpods.publisher.output.terminal import table
from trustedpods.publisher.results.pods import TopPod, TopResult


def top_lines(result: TopResult, *, wide: bool = False) -> list[str]:
    """A line for each pod, and one for all of them; *wide* with what is left and what a day costs in full."""
    if not result.pods:
        return ["no pods; `trustedpods deploy FILE` runs one"]
    header = ("POD", "PHASE", "READY", "CPU", "MEMORY", "PER DAY", "LASTS", *(("LEFT",) if wide else ()))
    rows = [_row(pod, result.token, wide=wide) for pod in result.pods]
    wrong = [f"{pod.name}: {pod.error.text}" for pod in result.pods if pod.error is not None]
    return [*table(header, rows), *([_sum(result)] if len(rows) > 1 else []), *wrong]


def _row(pod: TopPod, token: Token, *, wide: bool) -> tuple[str, ...]:
    amount = token.number if wide else token.short
    lasts = "?" if pod.error else "no end" if pod.runway_s is None else duration_text(pod.runway_s)
    return (
        pod.name,
        pod.phase,
        "?" if pod.replicas is None else f"{pod.ready}/{pod.replicas}",
        "?" if pod.cpu_milli is None else f"{pod.cpu_milli}m",
        "?" if pod.memory_mib is None else f"{pod.memory_mib}Mi",
        "" if pod.day is None else amount(pod.day),
        lasts,
        *(("" if pod.left is None else amount(pod.left),) if wide else ()),
    )


def _sum(result: TopResult) -> str:
    cpu = sum(pod.cpu_milli or 0 for pod in result.pods)
    memory = sum(pod.memory_mib or 0 for pod in result.pods)
    replicas = sum(pod.replicas or 0 for pod in result.pods)
    day = sum(pod.day or 0 for pod in result.pods)
    return f"all: {replicas} replicas, {cpu}m CPU, {memory}Mi, {result.token.short(day)} a day"
