# SPDX-License-Identifier: Apache-2.0
"""One container of the pod template. Pure."""

from collections.abc import Sequence
from typing import Any

from trustedpods.manifests.spec.container import Container, VolumeMount
from trustedpods.manifests.spec.environment import EnvVar
from trustedpods.manifests.spec.resources import ResourceSizes
from trustedpods.provider.cluster.objects.workload.kubelet_probe import kubelet_probes

CLUSTER_VARIABLES = (
    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS", "KUBERNETES_PORT",
    "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO", "KUBERNETES_PORT_443_TCP_PORT",
    "KUBERNETES_PORT_443_TCP_ADDR",
)  # fmt: skip
"""What a kubelet tells every container of its API server, `enableServiceLinks` or not (`getServiceEnvVarMap`
in kubelet_pods.go). A variable that the container sets itself it leaves alone, and libraries take an empty
KUBERNETES_SERVICE_HOST for "not in a cluster"."""


def container(part: Container, image: str) -> dict[str, Any]:
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
        **kubelet_probes(part),
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
