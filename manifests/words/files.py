# SPDX-License-Identifier: Apache-2.0
"""Files of other kinds, told by their first keys, and where what they say goes in a manifest."""

from collections.abc import Mapping

OURS = "trustedpods/v1"
NETWORK_KIND = "Network"

_HEAD = "a manifest begins with `apiVersion: trustedpods/v1` and `kind: Pod`"
_PAGE = "docs/manifest-words.md says what each word becomes"
_TEMPLATE = f"copy its `spec.template.spec` into the `spec` of a manifest; {_HEAD}, and {_PAGE}"
_TO_AN_END = (
    "it runs to an end, and a pod here serves requests. Work before the pod serves stands in "
    "`initContainers` of its manifest; other work in a container that waits for it, of `workload: replicated`"
)
_ON_TIME = (
    "it starts by the clock, and a pod here runs all the time or when it is asked: write a container of "
    "`workload: replicated` that waits for its time itself (`while sleep 3600; do ...; done`), or give the "
    "work a path of `expose: http` and call it from where a clock is"
)
_WAY_IN = "ways in stand in the pod's own manifest: `services: [{name: web, expose: http, ports: [...]}]`"
_FILES = "files stand in the pod's own manifest: `volumes: [{name: keys, secret: {files: {KEY: FILE}}}]`"
_DISK = "disks stand in the pod's own manifest: `volumes: [{name: data, persistent: {size: 1Gi}}]`"
_SCALE = "replicas stand in the pod's own manifest: `scale: {min: 0, max: 3}`"
_CALLS = "calls to the outside stand in the pod's own manifest: `network: {egress: [...]}`"
_CLUSTER = "it is a matter of the cluster's, which is the provider's; a manifest is one pod"

KINDS = {
    **dict.fromkeys(
        ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "PodTemplate"),
        _TEMPLATE,
    ),
    "Pod": f"{_HEAD}; its `spec` is nearly the same, and {_PAGE}",
    "Job": _TO_AN_END,
    "CronJob": _ON_TIME,
    **dict.fromkeys(("Service", "Ingress", "HTTPRoute", "Gateway", "TCPRoute"), _WAY_IN),
    "ConfigMap": _FILES,
    "Secret": _FILES,
    "PersistentVolumeClaim": _DISK,
    "PersistentVolume": _DISK,
    "HorizontalPodAutoscaler": _SCALE,
    "ScaledObject": _SCALE,
    "NetworkPolicy": _CALLS,
    "List": "write each pod into a file of its own",
    "Kustomization": "give the pod that `kustomize build` makes of it",
}
"""Advice by Kubernetes' kind; of any other kind the cluster's owner decides."""

_COMPOSE = (
    "`trustedpods convert FILE` makes a manifest of it. "
    "Each of its `services` is a container here: `spec: {containers: [{name: ..., image: ..., ...}]}`; "
    f"what it publishes goes to `spec.services`; {_HEAD}, and {_PAGE}"
)
_SDL = (
    "each of its `services` is a container here, its `expose` a service, its compute profile `resources`; "
    f"{_HEAD}, and {_PAGE}"
)


_FIRST_KEYS = (
    ({"services", "deployment"}, f"this is a deployment of Akash's (SDL): {_SDL}"),
    ({"profiles", "deployment"}, f"this is a deployment of Akash's (SDL): {_SDL}"),
    ({"services"}, f"this is a Compose file: {_COMPOSE}"),
    ({"containers"}, f"this has `containers` at its top: they stand in `spec`, and {_HEAD}; {_PAGE}"),
    (
        {"containerDefinitions"},
        f"this is a task of ECS: its `containerDefinitions` are `spec.containers` here; {_HEAD}, and {_PAGE}",
    ),
    (
        {"apiVersion", "name", "version"},
        "this is a Helm chart: give the pod that `helm template` makes of it",
    ),
    ({"on", "jobs"}, f"this is a workflow of GitHub's: {_TO_AN_END}"),
)
"""Keys of files without `apiVersion` and `kind`, and what to do with such a file."""


def other_file(tree: object) -> str | None:
    """What kind of file *tree* is and where its words go; None for a manifest of ours, good or bad."""
    if not isinstance(tree, Mapping) or tree.get("apiVersion") == OURS:
        return None
    version, kind = tree.get("apiVersion"), tree.get("kind")
    if isinstance(version, str) and isinstance(kind, str):
        known = _TEMPLATE if version.startswith("serving.knative.dev/") else KINDS.get(kind, _CLUSTER)
        return f"this is a Kubernetes {kind[:64]}: {known}"
    if kind is not None or "metadata" in tree or "spec" in tree:
        return None
    keys = {key for key in tree if isinstance(key, str)}
    return next((advice for known, advice in _FIRST_KEYS if known <= keys), None)
