# SPDX-License-Identifier: Apache-2.0
"""Is a pod ready? The manifest's readiness probes, run by the provider and not by the kubelet.

A kubelet probe starts whole seconds late and runs forever; these run from the moment a pod has
an address, closely spaced, until it is ready.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import trio

from trustedpods.manifests.model import PodManifest, Probe, TcpSocket

MAX_HEAD = 4096
FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.25

_STATUS = re.compile(rb"^HTTP/1\.[01] (\d{3})[ \r]")


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether the pod can take requests, and if not, why, in the words of the probe."""

    ready: bool
    reason: str = ""


def probes_of(manifest: PodManifest, ports: Iterable[int]) -> tuple[Probe, ...]:
    """The readiness probes of all containers; if there is none, a connection to each of *ports*."""
    found = [container.readiness_probe for container in manifest.spec.containers]
    given = tuple(probe for probe in found if probe is not None)
    return given or tuple(Probe(tcp_socket=TcpSocket(port=port)) for port in dict.fromkeys(ports))


async def check(ip: str, probes: Sequence[Probe]) -> ProbeResult:
    """Run each probe once, in order; the first that fails says why."""
    for probe in probes:
        reason = await _run(ip, probe)
        if reason:
            return ProbeResult(ready=False, reason=reason)
    return ProbeResult(ready=True)


async def until_ready(ip: str, probes: Sequence[Probe], limit: float) -> ProbeResult:
    """Probe until the pod is ready, for *limit* seconds at most; the last failure says why not."""
    pause = FIRST_PAUSE_S
    result = ProbeResult(ready=False, reason="no probe ended in time")
    with trio.move_on_after(limit):
        while not result.ready:
            result = await check(ip, probes)
            if not result.ready:
                await trio.sleep(pause)
                pause = min(LONGEST_PAUSE_S, pause * 2)
    return result


async def _run(ip: str, probe: Probe) -> str:
    """Why the probe failed; empty if it did not."""
    try:
        with trio.fail_after(probe.timeout_seconds):
            if probe.http_get is not None:
                return await _http(ip, probe.http_get.port, probe.http_get.path)
            assert probe.tcp_socket is not None
            await (await trio.open_tcp_stream(ip, probe.tcp_socket.port)).aclose()
            return ""
    except trio.TooSlowError:
        return f"{_name(probe)}: no answer within {probe.timeout_seconds} s"
    except (OSError, trio.BrokenResourceError):
        return f"{_name(probe)}: connection refused or broken"


async def _http(ip: str, port: int, path: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    lines = [
        f"GET {path} HTTP/1.1",
        f"Host: {host}:{port}",
        "User-Agent: trustedpods-probe",
        "Connection: close",
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
