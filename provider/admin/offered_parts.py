# SPDX-License-Identifier: Apache-2.0
"""What the configuration lets manifests ask of the cluster: whether the cluster has it."""

from pathlib import Path

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.client import open_cluster
from trustedpods.provider.config import ProviderConfig

_NO_DEFAULT = (
    "no default StorageClass, so pods whose volumes name no class do not start: to have them, mark one with"
    " the annotation storageclass.kubernetes.io/is-default-class, or install one such as local-path"
)


async def ingress(config: ProviderConfig) -> str:
    """Each class that is offered is there, with a pod of its controller; NoContext names what is not."""
    classes = config.ingress.classes
    if not classes:
        return "no class is offered"
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        there = (await cluster.features()).ingress_classes
        for name, one in classes.items():
            if name not in there:
                raise NoContext(
                    f"the cluster has no IngressClass {name}", hint="make it, or offer it no more"
                )
            if not await cluster.ready_pods(one.namespace, one.pod_labels):
                labels = ",".join(f"{key}={value}" for key, value in one.pod_labels.items())
                raise NoContext(
                    f"no pod of the controller of ingress class {name} is ready",
                    where=f"namespace {one.namespace}, labels {labels}",
                    hint="start it; one in its node's own network cannot be offered",
                )
    return ", ".join(classes)


async def storage(config: ProviderConfig) -> str:
    """Each class that is offered is there; NoContext names what is not. A default class may be missing."""
    offered = config.cluster.storage_classes
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        found = await cluster.features()
    for name in offered:
        if name not in found.storage_classes:
            raise NoContext(f"the cluster has no StorageClass {name}", hint="make it, or offer it no more")
    named = f"by name {', '.join(offered)}" if offered else "none by name"
    if found.default_class:
        return f"{found.default_class}, the default; {named}"
    return f"{named}; {_NO_DEFAULT}"


async def csi(config: ProviderConfig) -> str:
    """Each driver that is offered is on every node; NoContext names it, and where it is not."""
    drivers = config.cluster.csi_drivers
    if not drivers:
        return "no driver is offered"
    async with open_cluster(Path(config.cluster.kubeconfig)) as cluster:
        nodes = (await cluster.features()).nodes
    for driver in drivers:
        without = sorted(name for name, node in nodes.items() if driver not in node.csi_drivers)
        if without or not nodes:
            raise NoContext(
                f"the CSI driver {driver} is not on {', '.join(without) or 'any node'}",
                hint="start its node plugin there, or offer it no more: no pod is taken that asks for it",
            )
    return ", ".join(drivers)
