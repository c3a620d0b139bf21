# SPDX-License-Identifier: Apache-2.0
"""The daemon's own account in a cluster, with the rights that it needs and no others. Pure."""

from base64 import b64encode

import yaml

from trustedpods.provider.cluster.objects.names import KubeObject

NAME = "trustedpods-provider"
NAMESPACE = "kube-system"
"""Every cluster has it, and none of our namespaces lasts as long."""

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "update", "patch", "delete"]


def _rule(group: str, resources: list[str], verbs: list[str]) -> KubeObject:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def rules() -> list[KubeObject]:
    """Namespaces and what the daemon puts into them; no roles, no volumes of nodes.

    The chart's (`deploy/helm/chart/files/rules.yaml`) and a localnet's are the same, which a test compares.
    """
    core = [
        "namespaces", "secrets", "serviceaccounts", "resourcequotas", "persistentvolumeclaims", "pods",
        "services",
    ]  # fmt: skip
    kinds = ["deployments", "statefulsets"]
    return [
        _rule("", core, _WRITE),
        _rule("", ["nodes", "events", "pods/log"], _READ),
        _rule("storage.k8s.io", ["storageclasses", "csinodes"], _READ),
        _rule("secrets-store.csi.x-k8s.io", ["secretproviderclasses"], _WRITE),
        _rule("", ["pods/exec"], ["get", "create"]),  # a WebSocket is a GET; newer API servers ask for both
        _rule("apps", [*kinds, *(f"{kind}/scale" for kind in kinds), "replicasets"], _WRITE),
        _rule("policy", ["poddisruptionbudgets"], _WRITE),
        _rule("networking.k8s.io", ["networkpolicies", "ingresses"], _WRITE),
        _rule("networking.k8s.io", ["ingressclasses"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _WRITE),
        _rule("coordination.k8s.io", ["leases"], _WRITE),
    ]


def account() -> list[KubeObject]:
    """The account, its role, and that it has it."""
    role = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": rules()}
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": NAME},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    owned = {"metadata": {"name": NAME, "namespace": NAMESPACE}, "automountServiceAccountToken": False}
    return [{"apiVersion": "v1", "kind": "ServiceAccount", **owned}, role, binding]


def token_secret() -> KubeObject:
    """In which the cluster writes the account's token, which has no end."""
    annotations = {"kubernetes.io/service-account.name": NAME}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "annotations": annotations},
        "type": "kubernetes.io/service-account-token",
    }


def kubeconfig_text(server: str, authority: bytes, token: bytes) -> str:
    """How the account reaches the cluster at *server*, whose certificate *authority* (PEM) has signed."""
    cluster = {"server": server, "certificate-authority-data": b64encode(authority).decode()}
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": {"token": token.decode()}}],
    }
    return yaml.safe_dump(tree, sort_keys=False)
