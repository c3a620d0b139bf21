# SPDX-License-Identifier: Apache-2.0
"""Two live pods in a namespace of their own, to see what a cluster's network really does.

One listens, the other calls it again and again and writes down how that went. Then policies come, one
for each direction, and the calls must stop. A cluster that stores NetworkPolicies and ignores them
looks healthy in every other way.
"""

from dataclasses import dataclass
from typing import Any

import trio

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.applying import apply
from trustedpods.provider.cluster.diagnosis import read_logs
from trustedpods.provider.cluster.isolation_proof import probe_pods
from trustedpods.provider.cluster.isolation_proof.probe_image import PROGRAM
from trustedpods.provider.cluster.isolation_proof.probe_pods import (
    START_LIMIT_S,
    ProbePlace,
    probe_pod,
    until,
)

CALL_LIMIT_S = 10.0
"""For a policy to take effect: enforcers need milliseconds to some seconds."""

LEAST_CALLS = 6
"""Nothing is concluded from fewer calls than this: on a busy node a call takes its time too."""

BUSY_LIMIT_S = 60.0
"""For so few calls, on the busiest node. Whoever is slower proves nothing."""

ALIKE_CALLS = 2
"""Calls in a row that must end alike: a single one may be late for reasons of its own."""

CONNECT_LIMIT_S = 30.0
"""For the probe pod's listener, which begins when its container runs already."""

_PORT = 8080
_LOOK_EVERY_S = 0.2
_ANSWER_LIMIT_S = 2
"""For one call: a first packet that a busy listener lost is sent again after one second."""

_WHOLE_LIMIT_S = 4
"""For one call and its end: a policy in its middle may swallow the end, which nc awaits for ever."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was seen. `reached_from_here`: this machine, where the facade is, connects to pods."""

    reached_from_here: bool
    open_without_policies: bool
    ingress_enforced: bool
    egress_enforced: bool

    @property
    def isolates(self) -> bool:
        """Whether pods are apart under policies; only an open path that was shut proves it."""
        return self.open_without_policies and self.ingress_enforced and self.egress_enforced


async def prove(api: Api, place: ProbePlace) -> Proof:
    """Run the probe at *place*, whose image is `probe_image` and whose namespace is removed in any case.

    NoContext, with Kubernetes' own words, when a probe pod does not start.
    """
    async with probe_pods.namespace(api, place):
        return await _prove(api, place)


async def _prove(api: Api, place: ProbePlace) -> Proof:
    namespace = place.namespace
    await apply(api, _listener(place))
    address = await _running(api, namespace, "listener")
    here = await _connects(address)
    await apply(api, _caller(place, address))
    await _running(api, namespace, "caller")
    calls = _Calls(api, namespace)
    if not await calls.become("open"):
        return Proof(here, open_without_policies=False, ingress_enforced=False, egress_enforced=False)
    shut = {}
    for direction, role in (("Ingress", "listener"), ("Egress", "caller")):
        await apply(api, _policy(namespace, direction, role))
        shut[direction] = await calls.become("shut")
        await api.delete(path_of("NetworkPolicy", namespace, direction.lower()))
        if not await calls.become("open"):  # else the next direction's calls were shut already
            return Proof(here, open_without_policies=False, ingress_enforced=False, egress_enforced=False)
    return Proof(
        here,
        open_without_policies=True,
        ingress_enforced=shut["Ingress"],
        egress_enforced=shut["Egress"],
    )


class _Calls:
    """What the calling pod wrote last: a line with number and word for each call."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def become(self, wanted: str) -> bool:
        """Whether calls begin to end like this before the limit."""
        began, first = trio.current_time(), None
        while True:
            calls = calls_in(await self._said())[-ALIKE_CALLS:]
            if [word for _, word in calls] == [wanted] * ALIKE_CALLS:
                return True
            number = calls[-1][0] if calls else 0
            first = number if first is None else first
            if is_enough(trio.current_time() - began, number - first):
                return False
            await trio.sleep(_LOOK_EVERY_S)

    async def _said(self) -> bytes:
        name = (self._namespace, "caller", "probe")
        return await read_logs(self._api, *name, 2 * ALIKE_CALLS, previous=False)


def calls_in(said: bytes) -> list[tuple[int, str]]:
    """Number and word of each line that the calling pod wrote; what is cut off in the middle is left out."""
    lines = [line.split() for line in said.decode(errors="replace").splitlines(keepends=True) if "\n" in line]
    return [(int(line[0]), line[1]) for line in lines if len(line) == 2 and line[0].isdecimal()]


def is_enough(waited_s: float, calls: int) -> bool:
    """Whether time and calls tell that what was waited for does not come."""
    return waited_s > BUSY_LIMIT_S or (waited_s > CALL_LIMIT_S and calls >= LEAST_CALLS)


async def _running(api: Api, namespace: str, name: str) -> str:
    """The pod's address, as soon as its container runs."""
    address = ""

    async def look() -> bool:
        nonlocal address
        status = (await api.get(path_of("Pod", namespace, name))).get("status", {})
        address = str(status.get("podIP") or "")
        return status.get("phase") == "Running" and bool(address)

    if not await until(look, START_LIMIT_S):
        raise NoContext(f"probe pod {name} does not start: {await probe_pods.why(api, namespace, name)}")
    return address


async def _connects(address: str) -> bool:
    """Whether this machine reaches the pod; its listener may need a moment."""

    async def look() -> bool:
        try:
            with trio.fail_after(1):
                stream = await trio.open_tcp_stream(address, _PORT)
        except (OSError, trio.TooSlowError):
            return False
        await stream.aclose()
        return True

    return await until(look, CONNECT_LIMIT_S)


def _listener(place: ProbePlace) -> dict[str, Any]:
    return probe_pod(place, "listener", ["nc", "-ll", "-p", str(_PORT), "-e", PROGRAM, "true"])


def _caller(place: ProbePlace, address: str) -> dict[str, Any]:
    connect = f"{PROGRAM} nc -w {_ANSWER_LIMIT_S} {address} {_PORT}"
    called = f"{PROGRAM} timeout {_WHOLE_LIMIT_S} {connect} < /dev/null 2> /dev/null"
    call = f"n=$((n+1)); if {called}; then echo $n open; else echo $n shut; fi"
    loop = f"n=0; while :; do {call}; {PROGRAM} usleep 100000; done"
    return probe_pod(place, "caller", ["sh", "-c", loop])


def _policy(namespace: str, direction: str, role: str) -> dict[str, Any]:
    """Nothing passes in one direction, of one of the two pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": direction.lower(), "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": {"role": role}}, "policyTypes": [direction]},
    }
