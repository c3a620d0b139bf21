# SPDX-License-Identifier: Apache-2.0
"""One node of an embedded cluster: what it needs before it starts, and the processes in its namespace."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trustedpods.localnet import network
from trustedpods.localnet.cluster import addons, binaries, image_collector
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.cluster.pki import Authority, CertificateSubject
from trustedpods.localnet.commands import DEFAULT_TIMEOUT_S, run
from trustedpods.localnet.folders import replace_file, replace_link
from trustedpods.localnet.processes import probes
from trustedpods.localnet.processes.cgroups import Tree
from trustedpods.localnet.processes.units import Part, ReadinessCheck, Step, Unit
from trustedpods.localnet.settings import TCP_PORTS, ZONE_LABEL, Cluster, ClusterNode, Settings
from trustedpods.manifests.spec.csi.volume import SECRETS_STORE
from trustedpods.provider import termination_logs
from trustedpods.provider.cluster import pull_front

Argv = Sequence[str | Path]

_ALONE_IMPORT_LIMIT_S = 600
"""An emulated machine takes minutes to unpack what others take a second for."""

_FOLDERS = ("store", "cni", "cni-plugins", "netpol", "volumes")

_PASSED_THROUGH = 0o711
_OURS_ALONE = 0o700


def units(settings: Settings, cluster: Cluster, node: ClusterNode) -> list[Unit]:
    """Everything that runs on each node. A node after the first is prepared when its cluster is."""
    kube, socket = binaries.kube(), cluster_files.containerd_socket(node)
    runtime = binaries.runtime(user_namespaces=node.user_namespaces)
    kubelet: Argv = [
        kube, "kubelet", f"--config={node.path('kubelet.json')}",
        f"--kubeconfig={node.path('pki', 'node.conf')}",
        f"--hostname-override={node.name}", f"--node-ip={node.node_ip}",
        f"--root-dir={node.path('kubelet')}", f"--node-labels={ZONE_LABEL}={node.name}",
    ]  # fmt: skip
    prepared, images = f"{node.name}/prepare", f"{node.name}/images"
    api = f"{cluster.name}/apiserver"
    return [
        *_preparation(settings, cluster, node),
        part(node, "containerd", [runtime.containerd, "--config", node.path("containerd.toml")],
             partial(probes.unix, socket), prepared),
        Step(images, partial(_import_images, node), (f"{node.name}/containerd",)),
        part(node, "images-collector",
             [sys.executable, "-m", image_collector.__name__, socket, *_asks(cluster, node)],
             probes.always, images),
        part(node, "kubelet", kubelet, partial(probes.node_ready, cluster, node), api, images),
        part(node, "proxy", [kube, "kube-proxy", f"--config={node.path('proxy.json')}"],
             health(node, 10256), api, prepared),
        part(node, "termination-logs",
             [sys.executable, "-m", termination_logs.__name__, node.path("kubelet")],
             probes.always, prepared),
        _policy_agent(settings, cluster, node),
        _tunnels(node),
        *([_secrets_store(cluster, node)] if cluster.secrets_store else []),
    ]  # fmt: skip


def part(node: ClusterNode, name: str, argv: Argv, probe: ReadinessCheck, *needs: str) -> Part:
    """A process in the node's namespace; *needs* are names of units."""
    words = tuple(str(word) for word in [*network.enter(node.namespace), *argv])
    return Part(f"{node.name}/{name}", words, probe, needs)


def health(node: ClusterNode, port: int, path: str = "/healthz") -> ReadinessCheck:
    """Something on the node's loopback says that it is well."""
    return partial(probes.http_ok, node.namespace, "127.0.0.1", port, path, probes.limit(node))


def prepare(settings: Settings, cluster: Cluster, node: ClusterNode) -> None:
    """Network, certificates and files: no part need run, but the cluster's authority is there."""
    network.make_node_side(settings, cluster, node)
    write_files(settings, cluster, node)


def write_files(settings: Settings, cluster: Cluster, node: ClusterNode) -> None:
    """Folders, certificates, control groups and files of a node whose network is there."""
    for folder in _FOLDERS:
        node.path(folder).mkdir(parents=True, exist_ok=True)
    if node.user_namespaces:
        _let_pods_through(settings, node)
    _make_certificates(cluster, node)
    tree = Tree(settings.name)
    tree.make([node.name])
    files = {
        "containerd.toml": cluster_files.containerd_toml(node),
        "cni/10-pods.conflist": cluster_files.cni_conflist(node),
        "kubelet.json": cluster_files.kubelet_json(node, tree.kubelet_root(node.name)),
        "proxy.json": cluster_files.proxy_json(node),
    }
    if node.number > 1:
        hosts = pull_front.hosts_toml(f"https://{cluster.pull_front}", str(node.path("pki", "ca.crt")))
        files[f"certs.d/{cluster.registry}/hosts.toml"] = hosts
    for name, text in files.items():
        replace_file(node.path(name), text.encode())
    for name, program in cluster_files.cni_plugins().items():
        replace_link(cluster_files.cni_folder(node) / name, program)


def _let_pods_through(settings: Settings, node: ClusterNode) -> None:
    """Let who is root in a pod, and nobody out here, come to the pod's root below containerd's folder.

    The folders on that way are passed through and listed by nobody; what tenants have beside it is shut.
    """
    for folder in (settings.state, node.directory):
        folder.chmod(_PASSED_THROUGH)
    for name in _FOLDERS:
        node.path(name).chmod(_OURS_ALONE)


def _preparation(settings: Settings, cluster: Cluster, node: ClusterNode) -> list[Unit]:
    """The first node's is part of its cluster's."""
    if node.number == 1:
        return []
    made = partial(prepare, settings, cluster, node)
    return [Step(f"{node.name}/prepare", made, (f"{cluster.name}/prepare",))]


def _make_certificates(cluster: Cluster, node: ClusterNode) -> None:
    """Keys of the node's own, in its own folder: nothing that it has opens more than one node may."""
    authority = Authority(cluster.path("pki"))
    for identity in (
        CertificateSubject(
            "node", f"system:node:{node.name}", ("system:nodes",), hosts=(node.name, node.node_ip)
        ),
        CertificateSubject("proxy", "system:kube-proxy"),
        CertificateSubject("netpol", addons.NETPOL_USER),
        CertificateSubject("secrets-store", addons.SECRETS_STORE_USER),
    ):
        authority.issue(identity, node.path("pki"))
        authority.write_kubeconfig(identity, cluster.api_server, node.path("pki"))


def _asks(cluster: Cluster, node: ClusterNode) -> list[str]:
    """Where the collector asks about images: a later node at the front, with the node's certificate."""
    if node.number == 1:
        return [cluster.registry]
    return [cluster.registry, f"https://{cluster.pull_front}", str(node.path("pki"))]


def _import_images(node: ClusterNode) -> None:
    program = binaries.runtime(user_namespaces=node.user_namespaces).ctr
    ctr: Argv = [program, "--address", cluster_files.containerd_socket(node), "--namespace", "k8s.io"]
    limit = _ALONE_IMPORT_LIMIT_S if node.alone else DEFAULT_TIMEOUT_S
    for name in binaries.NODE_IMAGES:
        run([*ctr, "images", "import", binaries.image(name)], timeout=limit)


def _secrets_store(cluster: Cluster, node: ClusterNode) -> Part:
    """Mounts what a SecretProviderClass names out of the cluster's folder `store`; the kubelet finds it."""
    listens = node.path("csi.sock")
    words: Argv = [
        binaries.secrets_store(), f"-registry={node.path('kubelet', 'plugins_registry')}",
        f"-node={node.name}", f"-store={cluster.path('store')}", f"-socket={listens}",
        f"-kubeconfig={node.path('pki', 'secrets-store.conf')}",
    ]  # fmt: skip
    needs = (f"{cluster.name}/addons", f"{node.name}/kubelet")
    return part(
        node, "secrets-store", words, partial(probes.csi_driver, cluster, node, SECRETS_STORE), *needs
    )


def _policy_agent(settings: Settings, cluster: Cluster, node: ClusterNode) -> Part:
    """Enforces network policies, counts traffic, freezes pods; they wait for it, the kubelet need not."""
    listens = cluster_files.plugin_socket(node)
    agent: Argv = [
        binaries.netpol(), f"-kubeconfig={node.path('pki', 'netpol.conf')}", f"-node={node.name}",
        f"-pod-network={node.pod_network}", f"-state={cluster_files.pods_file(node)}",
        f"-cni-socket={listens}", f"-traffic-socket={cluster_files.traffic_socket(node)}",
        f"-freezer-socket={cluster_files.freezer_socket(node)}",
        f"-pods-group={Tree(settings.name).kubelet_root(node.name)}",
        *(_ways(cluster, node) if settings.knobs.kernel_tcp else ()),
    ]  # fmt: skip
    needs = (f"{cluster.name}/addons", f"{node.name}/prepare")
    return part(node, "netpol", agent, partial(probes.unix, listens), *needs)


def _ways(cluster: Cluster, node: ClusterNode) -> Argv:
    """It leads the facade's ports of tcp past HAProxy, and no others."""
    first = cluster.ports.tcp
    return [f"-ways-socket={cluster_files.ways_socket(node)}", f"-ways-ports={first}-{first + TCP_PORTS - 1}"]


def _tunnels(node: ClusterNode) -> Part:
    """Makes the devices of pods with encrypted links to others, as the daemon says."""
    listens = cluster_files.tunnel_socket(node)
    words: Argv = [binaries.tunnel(), f"-socket={listens}", f"-pods={cluster_files.pods_file(node)}"]
    return part(node, "tunnels", words, partial(probes.unix, listens), f"{node.name}/prepare")
