# SPDX-License-Identifier: Apache-2.0
"""One embedded cluster: real Kubernetes, every component a process in the cluster's namespace."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trustedpods.localnet import network
from trustedpods.localnet.cluster import addons, binaries, image_collector, load_balancers
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.cluster.pki import Authority, CertificateSubject
from trustedpods.localnet.commands import run
from trustedpods.localnet.folders import replace_file, replace_link
from trustedpods.localnet.processes import probes
from trustedpods.localnet.processes.cgroups import Tree
from trustedpods.localnet.processes.units import Part, ReadinessCheck, Step, Unit
from trustedpods.localnet.settings import Cluster, Settings
from trustedpods.provider import termination_logs

Argv = Sequence[str | Path]

_ETCD = "http://127.0.0.1:2379"
_FOLDERS = ("cni", "cni-plugins", "netpol", "volumes", "etcd")


def units(settings: Settings, cluster: Cluster) -> list[Unit]:
    """Everything between an empty namespace and a cluster that runs pods."""
    return [
        *_node_parts(settings, cluster),
        *_control_plane(cluster),
        *_addons(settings, cluster),
    ]


def kubectl(settings: Settings, cluster: Cluster) -> list[str]:
    """Our own kubectl, as the cluster's administrator; it keeps its cache in our folder."""
    kubeconfig = settings.kubeconfig or cluster.path("pki", "admin.conf")
    cache = cluster.path("kubectl-cache")
    return [str(binaries.kube()), "kubectl", f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}"]


def _prepare(settings: Settings, cluster: Cluster) -> None:
    """Network, certificates and files: nothing of it needs a running part."""
    network.make_host_side(settings)
    network.make_node_side(settings, cluster)
    for folder in _FOLDERS:
        cluster.path(folder).mkdir(parents=True, exist_ok=True)
    cluster.path("etcd").chmod(0o700)
    _make_certificates(cluster)
    tree = Tree(settings.name)
    tree.make([cluster.name])
    files = {
        "containerd.toml": cluster_files.containerd_toml(cluster),
        "cni/10-pods.conflist": cluster_files.cni_conflist(cluster),
        "kubelet.json": cluster_files.kubelet_json(cluster, tree.kubelet_root(cluster.name)),
        "proxy.json": cluster_files.proxy_json(cluster),
        "Corefile": cluster_files.corefile(cluster),
        "storage.json": cluster_files.storage_config(cluster),
        "helper-pod.json": addons.helper_pod(),
        "addons.json": addons.objects(cluster),
    }
    for name, text in files.items():
        replace_file(cluster.path(name), text.encode())
    for name, program in cluster_files.cni_plugins().items():
        replace_link(cluster_files.cni_folder(cluster) / name, program)


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
        CertificateSubject("proxy", "system:kube-proxy"),
        CertificateSubject("dns", addons.DNS_USER),
        CertificateSubject("storage", addons.STORAGE_USER),
        CertificateSubject("netpol", addons.NETPOL_USER),
        CertificateSubject("provider", addons.PROVIDER_USER),
        CertificateSubject(load_balancers.NAME, addons.BALANCERS_USER),
        CertificateSubject(
            "node", f"system:node:{cluster.name}", ("system:nodes",), hosts=(cluster.name, cluster.node_ip)
        ),
    ]
    for client in clients:
        authority.issue(client)
        authority.write_kubeconfig(client, cluster.api_server)


def _part(cluster: Cluster, name: str, argv: Argv, probe: ReadinessCheck, *needs: str) -> Part:
    words = tuple(str(word) for word in [*network.enter(cluster.namespace), *argv])
    return Part(f"{cluster.name}/{name}", words, probe, tuple(f"{cluster.name}/{need}" for need in needs))


def _health(cluster: Cluster, port: int, path: str = "/healthz") -> ReadinessCheck:
    return partial(probes.http_ok, cluster.namespace, "127.0.0.1", port, path)


def _node_parts(settings: Settings, cluster: Cluster) -> list[Unit]:
    kube, socket = binaries.kube(), cluster_files.containerd_socket(cluster)
    pki = cluster.path("pki")
    containerd: Argv = ["containerd", "--config", cluster.path("containerd.toml")]
    kubelet: Argv = [
        kube, "kubelet", f"--config={cluster.path('kubelet.json')}", f"--kubeconfig={pki}/node.conf",
        f"--hostname-override={cluster.name}", f"--node-ip={cluster.node_ip}",
        f"--root-dir={cluster.path('kubelet')}",
    ]  # fmt: skip
    return [
        Step(f"{cluster.name}/prepare", partial(_prepare, settings, cluster)),
        _part(cluster, "containerd", containerd, partial(probes.unix, socket), "prepare"),
        Step(f"{cluster.name}/images", partial(_import_images, cluster), (f"{cluster.name}/containerd",)),
        _part(cluster, "images-collector",
              [sys.executable, "-m", image_collector.__name__, socket, cluster.registry],
              probes.always, "images"),
        _part(cluster, "kubelet", kubelet, partial(probes.node_ready, cluster), "apiserver", "images"),
        _part(cluster, "proxy", [kube, "kube-proxy", f"--config={cluster.path('proxy.json')}"],
              _health(cluster, 10256), "apiserver"),
        _part(cluster, "termination-logs",
              [sys.executable, "-m", termination_logs.__name__, cluster.path("kubelet")],
              probes.always, "prepare"),
    ]  # fmt: skip


def _import_images(cluster: Cluster) -> None:
    ctr: Argv = ["ctr", "--address", cluster_files.containerd_socket(cluster), "--namespace", "k8s.io"]
    for name in binaries.NODE_IMAGES:
        run([*ctr, "images", "import", binaries.image(name)])


def _control_plane(cluster: Cluster) -> list[Unit]:
    kube = binaries.kube()
    etcd: Argv = [
        kube, "etcd", f"--data-dir={cluster.path('etcd')}", "--unsafe-no-fsync", "--log-level=warn",
        f"--listen-client-urls={_ETCD}", f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
    ]  # fmt: skip
    return [
        _part(cluster, "etcd", etcd, _health(cluster, 2379, "/health"), "prepare"),
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
        f"--etcd-servers={_ETCD}", f"--bind-address={cluster.node_ip}", "--secure-port=6443",
        f"--advertise-address={cluster.node_ip}", f"--service-cluster-ip-range={cluster.service_network}",
        f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
        f"--client-ca-file={pki}/ca.crt", "--anonymous-auth=false", f"--cert-dir={cluster.path('cert')}",
        f"--kubelet-client-certificate={pki}/kubelet-client.crt",
        f"--kubelet-client-key={pki}/kubelet-client.key", f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",  # the node's name resolves nowhere
        f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true", "--profiling=false",
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
        _part(cluster, "dns", dns, _health(cluster, 8181, "/ready"), "addons"),
        _part(cluster, "storage", storage, probes.always, "addons"),
        _part(cluster, "balancers",
              [sys.executable, "-m", load_balancers.__name__, cluster.api_server.removeprefix("https://"),
               cluster.path("pki"), cluster.balancer_network],
              probes.always, "addons"),
        _policy_agent(cluster),
    ]  # fmt: skip


def _policy_agent(cluster: Cluster) -> Part:
    """Enforces network policies and counts pods' traffic; pods wait for it, the kubelet need not."""
    listens = cluster_files.plugin_socket(cluster)
    agent: Argv = [
        binaries.netpol(), f"-kubeconfig={cluster.path('pki', 'netpol.conf')}", f"-node={cluster.name}",
        f"-pod-network={cluster.pod_network}", f"-state={cluster.path('netpol', 'pods.json')}",
        f"-cni-socket={listens}", f"-traffic-socket={cluster_files.traffic_socket(cluster)}",
    ]  # fmt: skip
    return _part(cluster, "netpol", agent, partial(probes.unix, listens), "addons")


def _apply_addons(settings: Settings, cluster: Cluster) -> None:
    file = cluster.path("addons.json")
    run([*kubectl(settings, cluster), "apply", "--server-side", "--field-manager=localnet", "-f", file])
