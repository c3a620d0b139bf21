# SPDX-License-Identifier: Apache-2.0
"""Objects that an embedded cluster starts with: DNS, storage, and what our own parts may do. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from trustedpods.localnet.cluster import binaries, ingress_controller
from trustedpods.localnet.cluster.binaries import BUSYBOX
from trustedpods.localnet.settings import NAMES_PORT, Cluster
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE
from trustedpods.provider.setup import daemon_account

STORAGE_NAMESPACE = "local-path-storage"
STORAGE_SCRIPTS = "local-path-config"
STORAGE_ACCOUNT = "local-path-provisioner"
STORAGE_CLASS = "local-path"

DNS_USER = "localnet:dns"
STORAGE_USER = "localnet:storage"
NETPOL_USER = "localnet:netpol"
PROVIDER_USER = "localnet:provider"
BALANCERS_USER = "localnet:balancers"
SECRETS_STORE_USER = "localnet:secrets-store"

Object = dict[str, Any]

_READ = ["get", "list", "watch"]
_WRITE = [*_READ, "create", "update", "patch", "delete"]


def objects(cluster: Cluster) -> str:
    """All of them, as one JSON list for `kubectl apply`."""
    names = _asked_at_53("pod-names", cluster.names_ip, cluster.node_ip, NAMES_PORT)
    items = [*_dns(cluster), *names, *_storage(), *_policy_agent(), *_provider(), *_balancers()]
    if cluster.secrets_store:
        items += _secrets_store()
    if cluster.ingress:
        rules = _ingress_rules()
        items += ingress_controller.objects(BUSYBOX, binaries.traefik(), cluster.name, rules)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def helper_pod() -> str:
    """Pod in which the storage provisioner makes and removes a volume's folder."""
    container = {"name": "helper-pod", "image": BUSYBOX, "imagePullPolicy": "Never"}
    spec = {"containers": [container], "automountServiceAccountToken": False, "enableServiceLinks": False}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "helper-pod"}, "spec": spec})


def _dns(cluster: Cluster) -> list[Object]:
    """The cluster's own resolver, CoreDNS, for its own parts: no policy lets a tenant's pod reach it."""
    rules = [
        _rule("", ["endpoints", "services", "pods", "namespaces"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
    ]
    return [*_asked_at_53("kube-dns", cluster.dns_ip, cluster.node_ip, 53), *_role(DNS_USER, rules)]


def _asked_at_53(name: str, address: str, node_ip: str, port: int) -> list[Object]:
    """A Service without a selector, for a resolver that is a process on the node and not a pod."""

    def ports(number: int) -> list[Object]:
        return [
            {"name": f"dns-{protocol}", "port": number, "protocol": protocol.upper()}
            for protocol in ("udp", "tcp")
        ]

    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{name}-node",
            "namespace": "kube-system",
            "labels": {"kubernetes.io/service-name": name},
        },
        "addressType": "IPv4",
        "ports": ports(port),
        "endpoints": [{"addresses": [node_ip], "conditions": {"ready": True}}],
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"clusterIP": address, "ports": ports(53)},
    }
    return [service, endpoints]


def _storage() -> list[Object]:
    scripts = {
        "setup": '#!/bin/sh\nset -eu\nmkdir -m 0777 -p "$VOL_DIR"\n',
        "teardown": '#!/bin/sh\nset -eu\nrm -rf "$VOL_DIR"\n',
        "helperPod.yaml": helper_pod(),
    }
    rules = [
        _rule("", ["nodes", "persistentvolumeclaims", "configmaps", "pods/log"], _READ),
        _rule("", ["pods", "persistentvolumes", "endpoints"], _WRITE),
        _rule("", ["events"], ["create", "patch"]),
        _rule("storage.k8s.io", ["storageclasses"], _READ),
        _rule("coordination.k8s.io", ["leases"], _WRITE),
    ]
    place = {"namespace": STORAGE_NAMESPACE}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STORAGE_NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": STORAGE_ACCOUNT, **place}},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": STORAGE_SCRIPTS, **place},
            "data": scripts,
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
        },
        *_role(STORAGE_USER, rules),
    ]


def _policy_agent() -> list[Object]:
    """What the network policy agent looks at; it writes nothing into the cluster."""
    rules = [
        _rule("", ["pods", "namespaces"], _READ),
        _rule("networking.k8s.io", ["networkpolicies"], _READ),
    ]
    return _role(NETPOL_USER, rules)


def _balancers() -> list[Object]:
    """What gives load balancers their addresses: it writes where they are reached, and nothing else."""
    return _role(BALANCERS_USER, [_rule("", ["services"], _READ), _rule("", ["services/status"], ["patch"])])


def _secrets_store() -> list[Object]:
    """The driver as it registers itself, and the kind of object that tells it what to mount."""
    group, plural = "secrets-store.csi.x-k8s.io", "secretproviderclasses"
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": anything}}
    kind = "SecretProviderClass"
    names = {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": plural[:-2]}
    return [
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [version]},
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "CSIDriver",
            "metadata": {"name": SECRETS_STORE},
            "spec": {
                "attachRequired": False,
                "podInfoOnMount": True,
                "volumeLifecycleModes": ["Ephemeral"],
            },
        },
        *_role(SECRETS_STORE_USER, [_rule(group, [plural], _READ)]),
    ]


def _ingress_rules() -> list[Object]:
    """What the ingress controller reads, certificates in Secrets of any pod among it; it writes addresses."""
    return [
        _rule("", ["services", "secrets", "nodes"], _READ),
        _rule("discovery.k8s.io", ["endpointslices"], _READ),
        _rule("networking.k8s.io", ["ingresses", "ingressclasses"], _READ),
        _rule("networking.k8s.io", ["ingresses/status"], ["update"]),
    ]


def _provider() -> list[Object]:
    """What the daemon may do: what `setup` gives it in a cluster of somebody's."""
    return _role(PROVIDER_USER, daemon_account.rules())


def _rule(group: str, resources: list[str], verbs: list[str]) -> Object:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


def _role(user: str, rules: Sequence[Mapping[str, Any]]) -> list[Object]:
    """A role of the user's own name, given to the user."""
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": user}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": user},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
            "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
        },
    ]
