# SPDX-License-Identifier: Apache-2.0
"""The pod template: containers, volumes and what they may do. Pure.

There are no kubelet probes, because the facade runs the manifest's readiness probe, and no API
token, because a tenant gets none and mounting it would cost 300 ms of every cold start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from trustedpods.manifests.model import Container, EnvVar, PodManifest, ResourceSizes, Volume, VolumeMount
from trustedpods.provider.cluster.objects.names import METERED, WORKLOAD, KubeObject
from trustedpods.provider.core.metering import GRACE_S

FILES_GROUP = 65_532
"""Group of a pod's volumes: whatever user an image runs as, it can read its secrets."""

SECRET_MODE = 0o440

ANY_PORT = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
"""Every user may listen on every port, as under Docker: the network namespace is the pod's own. One of the
few kernel parameters that the restricted profile allows."""

NO_NAMES = {
    "nameservers": ["127.0.0.1"],
    "options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}],
}
"""Whom a pod asks for names: itself. No policy lets it reach the cluster's own resolver, and a question that
nobody may answer hangs for 40 s. On loopback the kernel says at once that nobody listens; a C library that
does not hear it (musl) gives up after a second. A container that listens on port 53 is the pod's resolver."""

LOOPBACK = "127.0.0.1"

CLUSTER_VARIABLES = (
    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS", "KUBERNETES_PORT",
    "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO", "KUBERNETES_PORT_443_TCP_PORT",
    "KUBERNETES_PORT_443_TCP_ADDR",
)  # fmt: skip
"""What a kubelet tells every container of its API server, `enableServiceLinks` or not (`getServiceEnvVarMap`
in kubelet_pods.go). A variable that the container sets itself it leaves alone, and libraries take an empty
KUBERNETES_SERVICE_HOST for "not in a cluster"."""


def pod_template(manifest: PodManifest, images: Mapping[str, str], labels: Mapping[str, str]) -> KubeObject:
    """Template of every replica. *images* maps a container's name to what the node pulls."""
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "serviceAccountName": WORKLOAD,
        "enableServiceLinks": False,
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": GRACE_S,  # the facade has drained the replica before
        "securityContext": {
            "runAsNonRoot": True,
            "fsGroup": FILES_GROUP,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
            "sysctls": [dict(ANY_PORT)],
        },
        "dnsPolicy": "None",
        "dnsConfig": NO_NAMES,
        "hostAliases": [{"ip": LOOPBACK, "hostnames": [part.name for part in manifest.spec.containers]}],
        "containers": [_container(part, images[part.name]) for part in manifest.spec.containers],
    }
    if manifest.spec.init_containers:
        spec["initContainers"] = [
            _container(part, images[part.name]) for part in manifest.spec.init_containers
        ]
    if manifest.spec.volumes:
        spec["volumes"] = [_volume(volume) for volume in manifest.spec.volumes]
    return {"metadata": {"labels": dict(labels), "finalizers": [METERED]}, "spec": spec}


def _container(part: Container, image: str) -> dict[str, Any]:
    """One container. An empty list is left out: the image's own default holds."""
    made: dict[str, Any] = {
        "name": part.name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": _resources(part.resources.limits),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": part.security_context.read_only_root_filesystem,
            "runAsNonRoot": True,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    optional = {
        "command": part.command,
        "args": part.args,
        "workingDir": part.working_dir,
        "env": _environment(part.env),
        "ports": _ports(part),
        "volumeMounts": [_mount(mount) for mount in part.volume_mounts],
    }
    return made | {key: value for key, value in optional.items() if value}


def _resources(size: ResourceSizes) -> dict[str, Any]:
    """Requests equal limits: a replica gets exactly what it pays for."""
    quantities = {
        "cpu": f"{size.cpu}m",
        "memory": f"{size.memory}Mi",
        "ephemeral-storage": f"{size.ephemeral_storage}Mi",
    }
    return {"requests": quantities, "limits": dict(quantities)}


def _environment(variables: Sequence[EnvVar]) -> list[dict[str, Any]]:
    """The container's own, of two values the last, as in a shell; of the cluster nothing is left to read."""
    own = {variable.name: _env(variable) for variable in variables}
    hidden = [{"name": name, "value": ""} for name in CLUSTER_VARIABLES if name not in own]
    return [*own.values(), *hidden]


def _env(variable: EnvVar) -> dict[str, Any]:
    if variable.value_from is None:
        return {"name": variable.name, "value": variable.value or ""}
    source = variable.value_from.secret_key_ref
    return {
        "name": variable.name,
        "valueFrom": {"secretKeyRef": {"name": source.name, "key": source.key}},
    }


def _ports(part: Container) -> list[dict[str, Any]]:
    """The ports once each. Their names are left out: nothing refers to them, and Kubernetes' are shorter."""
    declared = {(port.container_port, port.protocol) for port in part.ports}
    return [{"containerPort": number, "protocol": protocol} for number, protocol in sorted(declared)]


def _mount(mount: VolumeMount) -> dict[str, Any]:
    made: dict[str, Any] = {"name": mount.name, "mountPath": mount.mount_path}
    if mount.read_only:
        made["readOnly"] = True
    if mount.sub_path is not None:
        made["subPath"] = mount.sub_path
    return made


def _volume(volume: Volume) -> dict[str, Any]:
    if volume.secret is not None:
        source: dict[str, Any] = {"secret": {"secretName": volume.name, "defaultMode": SECRET_MODE}}
    elif volume.persistent is not None:
        source = {"persistentVolumeClaim": {"claimName": volume.name}}
    else:
        assert volume.empty_dir is not None
        source = {"emptyDir": {"sizeLimit": f"{volume.empty_dir.size_limit}Mi"}}
    return {"name": volume.name, **source}
