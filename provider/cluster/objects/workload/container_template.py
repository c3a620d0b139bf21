# SPDX-License-Identifier: Apache-2.0
"""One container of the pod template. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from trustedpods.manifests.spec.container import Container, SecurityContext, VolumeMount
from trustedpods.manifests.spec.environment import EnvFrom, EnvVar
from trustedpods.manifests.spec.resources import ResourceSizes
from trustedpods.provider.cluster.objects.workload.kubelet_probe import kubelet_probes, lifecycle

CLUSTER_VARIABLES = (
    "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS", "KUBERNETES_PORT",
    "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO", "KUBERNETES_PORT_443_TCP_PORT",
    "KUBERNETES_PORT_443_TCP_ADDR",
)  # fmt: skip
"""What a kubelet tells every container of its API server, `enableServiceLinks` or not (`getServiceEnvVarMap`
in kubelet_pods.go). A variable that the container sets itself it leaves alone, and libraries take an empty
KUBERNETES_SERVICE_HOST for "not in a cluster"."""


def container(part: Container, image: str, told: Mapping[str, str]) -> dict[str, Any]:
    """One container, *told* these variables. An empty list is left out: the image's own default holds."""
    made: dict[str, Any] = {
        "name": part.name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": resources(part.resources.limits),
        "securityContext": {
            **confined(read_only=part.security_context.read_only_root_filesystem),
            **_user(part.security_context),
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
    optional = {
        "command": part.command,
        "args": part.args,
        "workingDir": part.working_dir,
        "env": _environment(part.env, told),
        "envFrom": [_env_from(source) for source in part.env_from],
        "ports": _ports(part),
        "volumeMounts": [_mount(mount) for mount in part.volume_mounts],
        **kubelet_probes(part),
        "lifecycle": lifecycle(part.lifecycle),
    }
    return made | {key: value for key, value in optional.items() if value}


def confined(*, read_only: bool) -> dict[str, Any]:
    """The securityContext of every container, but for its user: no powers, never root."""
    return {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": read_only,
        "runAsNonRoot": True,
    }


def no_cluster() -> list[dict[str, str]]:
    """Variables by which a container is told nothing of the cluster."""
    return [{"name": name, "value": ""} for name in CLUSTER_VARIABLES]


def _user(wanted: SecurityContext) -> dict[str, int]:
    """Who runs instead of the image's user."""
    ids = {"runAsUser": wanted.user, "runAsGroup": wanted.run_as_group}
    return {name: number for name, number in ids.items() if number is not None}


def resources(size: ResourceSizes) -> dict[str, Any]:
    """Requests equal limits: a replica gets exactly what it pays for."""
    quantities = {
        "cpu": f"{size.cpu}m",
        "memory": f"{size.memory}Mi",
        "ephemeral-storage": f"{size.ephemeral_storage}Mi",
    }
    return {"requests": quantities, "limits": dict(quantities)}


def _environment(variables: Sequence[EnvVar], told: Mapping[str, str]) -> list[dict[str, Any]]:
    """What it is told, then the container's own, of two values the last; of the cluster nothing is left.

    A value may refer to what stands before it.
    """
    own = {variable.name: _env(variable) for variable in variables}
    more = {**told, **dict.fromkeys(CLUSTER_VARIABLES, "")}
    return [*({"name": name, "value": more[name]} for name in more if name not in own), *own.values()]


def _env(variable: EnvVar) -> dict[str, Any]:
    if variable.value_from is None:
        return {"name": variable.name, "value": variable.value or ""}
    source, field = variable.value_from.secret_key_ref, variable.value_from.field_ref
    if field is not None:
        value = {"fieldRef": {"apiVersion": "v1", "fieldPath": field.field_path}}
        return {"name": variable.name, "valueFrom": value}
    assert source is not None
    return {
        "name": variable.name,
        "valueFrom": {"secretKeyRef": {"name": source.name, "key": source.key}},
    }


def _env_from(source: EnvFrom) -> dict[str, Any]:
    made: dict[str, Any] = {"secretRef": {"name": source.secret_ref.name}}
    return made | ({"prefix": source.prefix} if source.prefix else {})


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
