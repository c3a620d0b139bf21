# SPDX-License-Identifier: Apache-2.0
"""The ResourceQuota of a pod's namespace. Pure."""

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.ordinal_service import ordinal_services
from trustedpods.provider.cluster.objects.workload.deployment import SURGE


def quota(manifest: PodManifest, storage_mib: int) -> KubeObject:
    """The most that the namespace can ever hold, whatever the scaler does; *storage_mib* in its claims.

    There is room for every replica twice, because one that ends keeps its share for its last
    seconds while its successor starts, and for the surge of an update.
    """
    replicas = 2 * manifest.spec.scale.max + SURGE
    limits = manifest.replica_limits
    sizes = {
        "cpu": f"{replicas * limits.cpu}m",
        "memory": f"{replicas * limits.memory}Mi",
        "ephemeral-storage": f"{replicas * limits.ephemeral_storage}Mi",
    }
    volumes = [volume for volume in manifest.spec.volumes if volume.persistent]
    hard = {f"{side}.{name}": size for side in ("requests", "limits") for name, size in sizes.items()}
    services = manifest.spec.services
    balanced = [service for service in services if service.expose == "loadBalancer"]
    ingresses = [service for service in services if service.expose == "ingress"]
    at_nodes = [
        port for service in services if service.expose in ("udp", "nodePort") for port in service.ports
    ]
    hard |= {
        "pods": str(replicas),
        "requests.storage": f"{storage_mib}Mi",
        "persistentvolumeclaims": str(len(volumes) * manifest.claims_each),
        "services": str(len(services) + len(ordinal_services(manifest, "")) + manifest.spec.network.calls),
        "services.nodeports": str(len(at_nodes)),
        "services.loadbalancers": str(len(balanced)),
        "count/ingresses.networking.k8s.io": str(len(ingresses)),
    }
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "size"},
        "spec": {"hard": hard},
    }
