# SPDX-License-Identifier: Apache-2.0
"""Is a pod ready? The manifest's readiness probes over HTTP and TCP, run by the provider.

A kubelet probe starts whole seconds late and runs forever; these run from the moment a pod has
an address, closely spaced, until it is ready. Commands, gRPC and TLS are the kubelet's: a pod that has
such a probe is not asked here before its Ready condition holds.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.probe import HttpGet, Probe, TcpSocket

MAX_HEAD = 4096
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.25
STEADY_S = 3.0
"""A replica with nothing to probe counts as ready when it has run for so long: most bad starts end sooner."""
MAX_REASONS = 3
"""Ways of failing that are told; the oldest are forgotten."""

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})[ \r]")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether the pod can take requests, and if not, why, in the words of the probe."""

    ready: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ContainerProbe:
    """A probe, and whose it is; that of no container is a connection to a service's port."""

    probe: Probe
    container: str | None = None


@dataclass(slots=True)
class Tally:
    """How often a replica's probes failed in which way, and where it listens, as far as somebody looked."""

    reasons: Counter[str] = field(default_factory=Counter)
    listening: str = ""

    def add(self, reason: str) -> None:
        """One more failure; the newest stands last."""
        self.reasons[reason] = self.reasons.pop(reason, 0) + 1
        if len(self.reasons) > MAX_REASONS:
            del self.reasons[next(iter(self.reasons))]

    def __str__(self) -> str:
        """In words, the newest way first."""
        told = [f"{reason}, {times} times" for reason, times in reversed(self.reasons.items())]
        words = "; before that ".join(told)
        return f"{words} ({self.listening})" if words and self.listening else words


def probes_of(manifest: PodManifest, ports: Iterable[int]) -> tuple[ContainerProbe, ...]:
    """The readiness probes that the facade runs; if there is none, a connection to each of *ports*."""
    given = [
        ContainerProbe(one.readiness_probe, one.name)
        for one in manifest.spec.running_containers
        if one.readiness_probe and not one.readiness_probe.needs_kubelet
    ]
    plain = [ContainerProbe(Probe(tcp_socket=TcpSocket(port=port))) for port in dict.fromkeys(ports)]
    return tuple(given or plain)


def start_seconds(manifest: PodManifest) -> int:
    """The longest start that the probes ask for, whoever runs them; 0 if none does.

    Sidecars start one after another, then all others together.
    """
    before = sum(one.start_seconds for one in manifest.spec.sidecars)
    return before + max(one.start_seconds for one in manifest.spec.containers)


async def check(ip: str, probes: Sequence[ContainerProbe]) -> ProbeResult:
    """Run each probe once, in order; the first that fails says why."""
    for one in probes:
        reason = await _run(ip, one.probe)
        if reason:
            of = f"container {one.container}: " if one.container else ""
            return ProbeResult(ready=False, reason=of + reason)
    return ProbeResult(ready=True)


async def until_ready(
    ip: str, probes: Sequence[ContainerProbe], limit: float, tally: Tally | None = None
) -> ProbeResult:
    """Probe until the pod is ready, for *limit* seconds at most; *tally* says how it went so far.

    The first time after the longest initial delay; the pauses grow up to the shortest period. All must pass
    as often in a row as the highest `successThreshold` says. With nothing to probe it is ready in
    `STEADY_S`: whoever asks sees for himself whether it still runs.
    """
    if not probes:
        await trio.sleep(STEADY_S)
        return ProbeResult(ready=True)
    tally = Tally() if tally is None else tally
    pause = FIRST_PAUSE_S
    periods = [one.probe.period_seconds for one in probes if one.probe.period_seconds]
    longest = float(min(periods, default=LONGEST_PAUSE_S))
    result = ProbeResult(ready=False, reason="no probe ended in time")
    wanted, passed = max(one.probe.success_threshold for one in probes), 0
    with trio.move_on_after(limit):
        await trio.sleep(max((one.probe.initial_delay_seconds for one in probes), default=0))
        while passed < wanted:
            result = await check(ip, probes)
            passed = passed + 1 if result.ready else 0
            if not result.ready:
                tally.add(result.reason)
            if passed < wanted:
                await trio.sleep(pause)
                pause = min(longest, pause * 2)
    if passed == wanted:
        return result
    return ProbeResult(ready=False, reason=str(tally) or result.reason or "not often enough in a row")


async def _run(ip: str, probe: Probe) -> str:
    """Why the probe failed; empty if it did not."""
    try:
        with trio.fail_after(probe.timeout_seconds):
            if probe.http_get is not None:
                return await _http(ip, probe.http_get)
            assert probe.tcp_socket is not None
            await (await trio.open_tcp_stream(ip, probe.tcp_socket.port)).aclose()
            return ""
    except trio.TooSlowError:
        return f"{_name(probe)}: no answer within {probe.timeout_seconds} s"
    except (OSError, trio.BrokenResourceError):
        return f"{_name(probe)}: connection refused or broken (does it listen there, on 0.0.0.0?)"


async def _http(ip: str, asked: HttpGet) -> str:
    path, port = asked.path, asked.port
    host = f"[{ip}]" if ":" in ip else ip
    ours = {"Host": f"{host}:{port}", "User-Agent": "trustedpods-probe"}
    given = {header.name.title() for header in asked.http_headers}
    lines = [
        f"GET {path} HTTP/1.1",
        *(f"{name}: {value}" for name, value in ours.items() if name not in given),
        *(f"{header.name}: {header.value}" for header in asked.http_headers),
        *([] if "Connection" in given else ["Connection: close"]),
    ]
    head = "\r\n".join([*lines, "", ""])
    async with await trio.open_tcp_stream(ip, port) as stream:
        await stream.send_all(head.encode())
        answer = bytearray()
        while b"\n" not in answer and len(answer) < MAX_HEAD:
            data = await stream.receive_some(MAX_HEAD)
            if not data:
                break
            answer += data
    match = _STATUS.match(answer)
    if match is None:
        return f"GET {path} on port {port}: not an HTTP answer"
    status = int(match[1])
    return "" if 200 <= status < 400 else f"GET {path} on port {port}: status {status}"


def _name(probe: Probe) -> str:
    if probe.http_get is not None:
        return f"GET {probe.http_get.path} on port {probe.http_get.port}"
    assert probe.tcp_socket is not None
    return f"connection to port {probe.tcp_socket.port}"
