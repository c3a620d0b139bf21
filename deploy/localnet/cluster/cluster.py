# SPDX-License-Identifier: Apache-2.0
"""One embedded cluster: real Kubernetes, every component a process in the cluster's namespace."""

import sys
from functools import partial

from trustedpods.localnet import network
from trustedpods.localnet.cluster import addons, binaries, ingress_controller, load_balancers, node
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.cluster.node import Argv
from trustedpods.localnet.cluster.pki import Authority, CertificateSubject
from trustedpods.localnet.commands import DEFAULT_TIMEOUT_S, run
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.processes import probes
from trustedpods.localnet.processes.units import Part, ReadinessCheck, Step, Unit
from trustedpods.localnet.settings import Cluster, Settings

_ETCD = "http://127.0.0.1:2379"

_DEAD_NODE = ("--node-monitor-grace-period=20s", "--node-monitor-period=2s")
"""When a silent node is taken for dead; the default is 50 s. Its kubelet says every 3 s that it is there."""

_DEAD_NODE_PODS = tuple(f"--default-{state}-toleration-seconds=3" for state in ("not-ready", "unreachable"))
"""How long its pods are waited for, then they are made anew elsewhere; the default is 5 minutes."""

_ON_ADDRESS = ("--kubelet-preferred-address-types=InternalIP",)
"""The kubelet is asked at its address: a node's name resolves nowhere."""

_ON_LOOPBACK = ("--kubelet-preferred-address-types=Hostname", "--endpoint-reconciler-type=none")
"""A kubelet may not be registered under a loopback's address: it is asked by its name, which /etc/hosts has.
No Service may lead to a loopback's address either: pods' Service of the API server leads nowhere."""

_UNSCHEMED = ("--validate=false",)
"""An emulated machine computes the schema for longer than kubectl waits; these objects are of our making."""

_ALONE_LIMIT_S = 600
"""An emulated machine takes minutes for what others take a second for."""


def units(settings: Settings, cluster: Cluster) -> list[Unit]:
    """Everything between an empty namespace and a cluster that runs pods."""
    prepare = Step(f"{cluster.name}/prepare", partial(_prepare, settings, cluster))
    return [
        prepare,
        *(unit for one in cluster.nodes for unit in node.units(settings, cluster, one)),
        *_control_plane(cluster),
        *_addons(settings, cluster),
        *_ingress(settings, cluster),
    ]


def kubectl(settings: Settings, cluster: Cluster) -> list[str]:
    """Our own kubectl, as the cluster's administrator; it keeps its cache in our folder."""
    kubeconfig = settings.kubeconfig or cluster.path("pki", "admin.conf")
    cache = cluster.path("kubectl-cache")
    return [str(binaries.kube()), "kubectl", f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}"]


def _prepare(settings: Settings, cluster: Cluster) -> None:
    """Network, certificates and files of the control plane and of the node that it is on."""
    network.make_host_side(settings)
    network.make_node_side(settings, cluster, cluster)
    write_files(settings, cluster)


def write_files(settings: Settings, cluster: Cluster) -> None:
    """Certificates and files of the control plane, and of the node that it is on."""
    cluster.path("etcd").mkdir(parents=True, exist_ok=True)
    cluster.path("etcd").chmod(0o700)
    _make_certificates(cluster)
    node.write_files(settings, cluster, cluster)
    files = {
        "Corefile": cluster_files.corefile(cluster),
        "storage.json": cluster_files.storage_config(cluster),
        "helper-pod.json": addons.helper_pod(),
        "addons.json": addons.objects(cluster),
    }
    for name, text in files.items():
        replace_file(cluster.path(name), text.encode())


def _make_certificates(cluster: Cluster) -> None:
    authority = Authority(cluster.path("pki"))
    authority.make_service_account_key()
    Authority(cluster.path("pki", "front-proxy"))
    service = ("kubernetes", "kubernetes.default", "kubernetes.default.svc")
    hosts = (cluster.node_ip, cluster.api_service_ip, "127.0.0.1", "localhost", *service)
    authority.issue(CertificateSubject("apiserver", "kube-apiserver", hosts=hosts))
    authority.issue(
        CertificateSubject("kubelet-client", "kube-apiserver-kubelet-client", ("system:masters",))
    )
    clients = [
        CertificateSubject("admin", "admin", ("system:masters",)),
        CertificateSubject("controllers", "system:kube-controller-manager"),
        CertificateSubject("scheduler", "system:kube-scheduler"),
        CertificateSubject("dns", addons.DNS_USER),
        CertificateSubject("storage", addons.STORAGE_USER),
        CertificateSubject("provider", addons.PROVIDER_USER),
        CertificateSubject(load_balancers.NAME, addons.BALANCERS_USER),
    ]
    for client in clients:
        authority.issue(client)
        authority.write_kubeconfig(client, cluster.api_server)


def _part(cluster: Cluster, name: str, argv: Argv, probe: ReadinessCheck, *needs: str) -> Part:
    """A process on the first node; *needs* are other units of its."""
    return node.part(cluster, name, argv, probe, *(f"{cluster.name}/{need}" for need in needs))


def _control_plane(cluster: Cluster) -> list[Unit]:
    kube = binaries.kube()
    etcd: Argv = [
        kube, "etcd", f"--data-dir={cluster.path('etcd')}", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={_ETCD}", f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]  # fmt: skip
    return [
        _part(cluster, "etcd", etcd, node.health(cluster, 2379, "/health"), "prepare"),
        _part(cluster, "apiserver", [kube, "kube-apiserver", *_apiserver_flags(cluster)],
              partial(probes.api_ready, cluster), "etcd"),
        _part(cluster, "controllers", [kube, "kube-controller-manager", *_controller_flags(cluster)],
              partial(probes.controllers_ready, cluster), "apiserver"),
        _part(cluster, "scheduler", [kube, "kube-scheduler", *_client_flags(cluster, "scheduler")],
              partial(probes.tcp, cluster.namespace, "127.0.0.1", 10259), "apiserver"),
    ]  # fmt: skip


def _apiserver_flags(cluster: Cluster) -> list[str]:
    pki = cluster.path("pki")
    return [
        f"--etcd-servers={_ETCD}", f"--bind-address={cluster.serving_ip}", "--secure-port=6443",
        f"--advertise-address={cluster.node_ip}", f"--service-cluster-ip-range={cluster.service_network}",
        f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt", "--anonymous-auth=false", f"--cert-dir={cluster.path('cert')}",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key", f"--kubelet-certificate-authority={pki}/ca.crt",
        *(_ON_LOOPBACK if cluster.alone else _ON_ADDRESS),
        f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true", "--profiling=false",
        *(_DEAD_NODE_PODS if cluster.later_nodes else ()),
        # An authority of its own that has issued nothing: without one, others log its absence for ever.
        f"--requestheader-client-ca-file={pki}/front-proxy/ca.crt",
    ]  # fmt: skip


def _client_flags(cluster: Cluster, name: str) -> list[str]:
    config = cluster.path("pki", f"{name}.conf")
    kinds = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
    flags = [f"--{kind}={config}" for kind in kinds]
    return [*flags, "--bind-address=127.0.0.1", "--leader-elect=false", "--profiling=false"]


def _controller_flags(cluster: Cluster) -> list[str]:
    pki = cluster.path("pki")
    return [
        *_client_flags(cluster, "controllers"),
        f"--service-account-private-key-file={pki}/sa.key", f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt", f"--cluster-signing-key-file={pki}/ca.key",
        "--use-service-account-credentials", "--controllers=*,-nodeipam",
        "--kube-api-qps=200", "--kube-api-burst=400",  # the default 20 makes its start 4 s longer
        *(_DEAD_NODE if cluster.later_nodes else ()),
        f"--flex-volume-plugin-dir={cluster.path('volume-plugins')}",
    ]  # fmt: skip


def _addons(settings: Settings, cluster: Cluster) -> list[Unit]:
    storage: Argv = [
        binaries.provisioner(), "start", "--config", cluster.path("storage.json"),
        "--namespace", addons.STORAGE_NAMESPACE, "--kubeconfig", cluster.path("pki", "storage.conf"),
        "--helper-image", binaries.BUSYBOX, "--helper-pod-file", cluster.path("helper-pod.json"),
        "--configmap-name", addons.STORAGE_SCRIPTS, "--service-account-name", addons.STORAGE_ACCOUNT,
    ]  # fmt: skip
    dns: Argv = [binaries.kube(), "coredns", "-conf", cluster.path("Corefile")]
    return [
        Step(
            f"{cluster.name}/addons",
            partial(_apply_addons, settings, cluster),
            (f"{cluster.name}/apiserver",),
        ),
        _part(cluster, "dns", dns, node.health(cluster, 8181, "/ready"), "addons"),
        _part(cluster, "storage", storage, probes.always, "addons"),
        _part(cluster, "balancers",
              [sys.executable, "-m", load_balancers.__name__, cluster.api_server.removeprefix("https://"),
               cluster.path("pki"), cluster.balancer_network],
              probes.always, "addons"),
    ]  # fmt: skip


def _ingress(settings: Settings, cluster: Cluster) -> list[Unit]:
    """Its pod serves once the node's parts run, and the cluster has given it an address."""
    if not cluster.ingress:
        return []
    needs = ("addons", "controllers", "scheduler", "kubelet", "proxy", "netpol", "balancers")
    waited = partial(_await_ingress, settings, cluster)
    return [Step(f"{cluster.name}/ingress", waited, tuple(f"{cluster.name}/{need}" for need in needs))]


def _await_ingress(settings: Settings, cluster: Cluster) -> None:
    ingress_controller.rollout(kubectl(settings, cluster))


def _apply_addons(settings: Settings, cluster: Cluster) -> None:
    file = cluster.path("addons.json")
    apply = ["apply", "--server-side", "--field-manager=localnet", *(_UNSCHEMED if cluster.alone else ())]
    limit = _ALONE_LIMIT_S if cluster.alone else DEFAULT_TIMEOUT_S
    run([*kubectl(settings, cluster), *apply, "-f", file], timeout=limit)
