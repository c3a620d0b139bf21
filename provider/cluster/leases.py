# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes Lease, held by one daemon at a time.

`hold` goes by the API server's time, taken from its answers' Date header, so the holders' clocks do not
matter; `look` and `take` are for a standby, which measures time itself (`core.leadership`). Writes carry
the version that was read: of two that try at once, one is told so.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from trustedpods.protocol.errors import Locked
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api.http import Api, path_of
from trustedpods.provider.cluster.objects.names import LEASE_NAMESPACE
from trustedpods.provider.core.leadership.lease_watch import LeaseView


class ClusterLeases:
    """The part of the door to a cluster that is about leases."""

    _api: Api

    async def identity(self) -> str:
        """The uid of the namespace kube-system: another cluster has another one, whatever its address."""
        answer = await self._api.call("GET", path_of("Namespace", name=LEASE_NAMESPACE))
        return str(answer.json()["metadata"]["uid"])

    async def hold_lease(self, name: str, holder: str, seconds: int) -> None:
        """Take or renew a lease for *seconds*, by the API server's clock; Locked names who holds it."""
        await hold(self._api, name, holder, seconds)

    async def look_at_lease(self, name: str) -> LeaseView | None:
        """Who holds a lease; None while nobody ever did."""
        return await look(self._api, name)

    async def take_lease(self, name: str, holder: str, seconds: int, shown: LeaseView | None) -> None:
        """Take a lease that is still as it was *shown*; Locked where it is not."""
        await take(self._api, name, holder, seconds, shown)

    async def release_lease(self, name: str, holder: str) -> None:
        """Give a lease back; nothing happens where somebody else holds it."""
        await release(self._api, name, holder)


async def hold(api: Api, name: str, holder: str, seconds: int) -> None:
    """Take or renew the lease; Locked where another holds it and its time is not over."""
    path = path_of("Lease", LEASE_NAMESPACE, name)
    try:
        answer = await api.call("GET", path)
    except errors.NotThere:
        await _create(api, name, holder, seconds)
        return
    lease, now = answer.json(), _server_time(answer)
    spec = lease["spec"]
    if spec.get("holderIdentity") not in (None, "", holder) and not _expired(spec, now):
        raise Locked(f"{spec['holderIdentity']} holds the lease {name}", hint="one daemon per cluster")
    _fill(spec, holder, seconds, now)
    await _write(api, "PUT", path, lease)


async def look(api: Api, name: str) -> LeaseView | None:
    """Who holds the lease; None while nobody ever did."""
    lease = await api.find(path_of("Lease", LEASE_NAMESPACE, name))
    if lease is None:
        return None
    return LeaseView(lease["spec"].get("holderIdentity") or "", lease["metadata"]["resourceVersion"])


async def take(api: Api, name: str, holder: str, seconds: int, shown: LeaseView | None) -> None:
    """Make *holder* the holder, if the lease is still as it was *shown*; else Locked."""
    if shown is None:
        await _create(api, name, holder, seconds)
        return
    path = path_of("Lease", LEASE_NAMESPACE, name)
    answer = await api.call("GET", path)
    lease, now = answer.json(), _server_time(answer)
    if lease["metadata"]["resourceVersion"] != shown.version:
        raise Locked(f"{lease['spec'].get('holderIdentity')} renewed the lease {name} meanwhile")
    _fill(lease["spec"], holder, seconds, now)
    await _write(api, "PUT", path, lease)


async def release(api: Api, name: str, holder: str) -> None:
    """Clear the holder, if it is this one."""
    path = path_of("Lease", LEASE_NAMESPACE, name)
    lease = await api.find(path)
    if lease is None or lease["spec"].get("holderIdentity") != holder:
        return
    lease["spec"]["holderIdentity"] = ""
    await _write(api, "PUT", path, lease)


def _fill(spec: dict[str, Any], holder: str, seconds: int, now: datetime) -> None:
    if spec.get("holderIdentity") != holder:
        spec["acquireTime"] = _micro(now)
        spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
    spec |= {"holderIdentity": holder, "leaseDurationSeconds": seconds, "renewTime": _micro(now)}


async def _create(api: Api, name: str, holder: str, seconds: int) -> None:
    answer = await api.call("GET", "/version")
    now = _micro(_server_time(answer))
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
        "spec": {
            "holderIdentity": holder,
            "leaseDurationSeconds": seconds,
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": 0,
        },
    }
    await _write(api, "POST", path_of("Lease", LEASE_NAMESPACE), lease)


async def _write(api: Api, method: str, path: str, lease: dict[str, Any]) -> None:
    try:
        await api.call(method, path, body=lease)
    except errors.Conflict as error:
        raise Locked("somebody else took the lease in the same moment", where=error.where) from error


def _server_time(answer: httpx.Response) -> datetime:
    """The API server's clock; ours where a proxy has taken the header away."""
    try:
        return parsedate_to_datetime(answer.headers["date"])
    except (KeyError, ValueError):
        return datetime.now(UTC)


def _expired(spec: dict[str, Any], now: datetime) -> bool:
    renewed = spec.get("renewTime")
    if not renewed:
        return True
    age = (now - datetime.fromisoformat(renewed)).total_seconds()
    return age > int(spec.get("leaseDurationSeconds") or 0)


def _micro(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
