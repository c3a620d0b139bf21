# SPDX-License-Identifier: Apache-2.0
"""The daemon's own account in a cluster, with the rights that it needs and no others. Pure."""

from base64 import b64encode

import yaml

from trustedpods.provider.cluster.objects.names import KubeObject

NAME = "trustedpods-provider"
MADE_BY = {"app.kubernetes.io/managed-by": "trustedpods-setup"}
"""Labels: what has them not, under our name, is somebody else's, such as a release of the chart."""

NAMESPACE = "kube-system"
"""Every cluster has it, and none of our namespaces lasts as long."""

_RBAC = "rbac.authorization.k8s.io"
_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "update", "patch", "delete"]


def _rule(group: str, resources: list[str], verbs: list[str]) -> KubeObject:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def rules() -> list[KubeObject]:
    """Namespaces and what the daemon puts into them; no roles, no volumes of nodes.

    A localnet's daemon has these too. A test compares them with the chart's
    (`deploy/helm/chart/files/rules.yaml`).
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
        _rule("", ["pods/resize"], ["patch"]),
        _rule("apps", [*kinds, *(f"{kind}/scale" for kind in kinds), "replicasets"], _WRITE),
        _rule("policy", ["poddisruptionbudgets"], _WRITE),
        _rule("networking.k8s.io", ["networkpolicies", "ingresses"], _WRITE),
        _rule("networking.k8s.io", ["ingressclasses"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _WRITE),
        _rule("coordination.k8s.io", ["leases"], _WRITE),
    ]


def account() -> list[KubeObject]:
    """All of it, in the order in which it is made: where no role may be made, nothing else was.

    The cluster writes the account's token, which has no end, into the Secret, which would not stay without
    the account.
    """
    everywhere = {"name": NAME, "labels": MADE_BY}
    inside = {**everywhere, "namespace": NAMESPACE}
    role = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": everywhere, "rules": rules()}
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": everywhere,
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
    }
    owned = {"metadata": inside, "automountServiceAccountToken": False}
    annotations = {"kubernetes.io/service-account.name": NAME}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {**inside, "annotations": annotations},
        "type": "kubernetes.io/service-account-token",
    }
    return [role, binding, {"apiVersion": "v1", "kind": "ServiceAccount", **owned}, secret]


def is_others(found: KubeObject) -> bool:
    """Whether somebody else made the object that stands in the cluster under our name."""
    return not MADE_BY.items() <= (found["metadata"].get("labels") or {}).items()


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


def is_accounts(text: str) -> bool:
    """Whether a kubeconfig is one that was made here, not by hand."""
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError:
        return False
    return isinstance(tree, dict) and tree.get("current-context") == NAME
