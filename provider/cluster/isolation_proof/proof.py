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
from trustedpods.provider.cluster.isolation_proof.probe_pods import START_LIMIT_S, probe_pod, until

CALL_LIMIT_S = 10.0
"""For a policy to take effect. Enforcers need milliseconds to some seconds, the calls on a busy node too."""

CONNECT_LIMIT_S = 10.0
"""For the probe pod's listener, which begins when its container runs already."""

_PORT = 8080


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


async def prove(api: Api, image: str, namespace: str) -> Proof:
    """Run the probe with *image* (see `probe_image`) in *namespace*, which is removed in any case.

    NoContext, with Kubernetes' own words, when a probe pod does not start.
    """
    async with probe_pods.namespace(api, namespace):
        return await _prove(api, image, namespace)


async def _prove(api: Api, image: str, namespace: str) -> Proof:
    await apply(api, _listener(namespace, image))
    address = await _running(api, namespace, "listener")
    here = await _connects(address)
    await apply(api, _caller(namespace, image, address))
    await _running(api, namespace, "caller")
    calls = _Calls(api, namespace)
    if not await calls.become("open"):
        return Proof(here, open_without_policies=False, ingress_enforced=False, egress_enforced=False)
    shut = {}
    for direction, role in (("Ingress", "listener"), ("Egress", "caller")):
        await apply(api, _policy(namespace, direction, role))
        shut[direction] = await calls.become("shut")
        await api.delete(path_of("NetworkPolicy", namespace, direction.lower()))
        await calls.become("open")
    return Proof(
        here,
        open_without_policies=True,
        ingress_enforced=shut["Ingress"],
        egress_enforced=shut["Egress"],
    )


class _Calls:
    """What the calling pod wrote last: one word a call."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api = api
        self._namespace = namespace

    async def become(self, wanted: str) -> bool:
        """Whether calls begin to end like this before the limit."""

        async def look() -> bool:
            said = await read_logs(self._api, self._namespace, "caller", "probe", 1, previous=False)
            return said.decode(errors="replace").strip() == wanted

        return await until(look, CALL_LIMIT_S)


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


def _listener(namespace: str, image: str) -> dict[str, Any]:
    return probe_pod(namespace, "listener", image, ["nc", "-ll", "-p", str(_PORT), "-e", PROGRAM, "true"])


def _caller(namespace: str, image: str, address: str) -> dict[str, Any]:
    call = f"if {PROGRAM} nc -w 1 {address} {_PORT} < /dev/null; then echo open; else echo shut; fi"
    return probe_pod(
        namespace, "caller", image, ["sh", "-c", f"while :; do {call}; {PROGRAM} usleep 100000; done"]
    )


def _policy(namespace: str, direction: str, role: str) -> dict[str, Any]:
    """Nothing passes in one direction, of one of the two pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": direction.lower(), "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": {"role": role}}, "policyTypes": [direction]},
    }
