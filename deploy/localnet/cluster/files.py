# SPDX-License-Identifier: Apache-2.0
"""Configuration files of one embedded cluster, as text. Pure.

The settings that look odd cost somebody time: each has its reason beside it.
"""

import json
from pathlib import Path

from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.cluster.binaries import PAUSE
from trustedpods.localnet.settings import Cluster, ClusterNode

CNI_PLUGINS = Path("/usr/lib/cni")
"""Where Debian's containernetworking-plugins are."""


PIDS_PER_POD = 1024
"""Processes and threads of one replica, its pause container included: the kernel's table of them is shared by
all tenants, so without a bound one of them takes the others' place. Servers with a thread for each request
need a few hundred."""

MAX_PODS = 240
"""Replicas of a node, where Kubernetes' own default is 110: sleepers that stay warm are many and take little.
Its network has 254 addresses, of which some are kept for a moment behind a replica's end."""

LEASE_S = 12
"""A kubelet renews its node's lease four times within it."""

_POLICY_PLUGIN = "trustedpods-netpol"


def containerd_toml(node: ClusterNode) -> str:
    """Configuration of containerd 1.6 and newer, with everything it writes below the cluster's folder.

    `restrict_oom_score_adj` and `disable_apparmor`: machines where these may not be set.
    `ignore_image_defined_volumes`: the kubelet neither counts nor bounds what an image's VOLUME holds.
    `netns_mounts_under_state_dir`: pods' network namespaces are found and removed with the rest.
    """
    here, runtime = node.directory, binaries.runtime(user_namespaces=node.user_namespaces)
    shim = f'\n      runtime_path = "{runtime.shim}"' if runtime.shim else ""
    runc = f'\n        BinaryName = "{runtime.runc}"' if runtime.runc else ""
    return f"""version = 2
root = "{here}/containerd"
state = "{here}/run"
oom_score = 0
disabled_plugins = [
  "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
  address = "{containerd_socket(node)}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{here}/opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  ignore_image_defined_volumes = true
  stream_server_address = "127.0.0.1"
  max_concurrent_downloads = 4
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_folder(node)}"
    conf_dir = "{here}/cni"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{here}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"{shim}
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = "{here}/runc"{runc}
"""


def containerd_socket(node: ClusterNode) -> Path:
    """Where containerd listens."""
    return node.path("containerd.sock")


def cni_network(node: ClusterNode) -> str:
    """Name of the pod network; CNI keeps results under it in /var/lib/cni."""
    return node.network_name


def cni_folder(node: ClusterNode) -> Path:
    """Where containerd looks for plugins: links to Debian's, and to the policy agent's."""
    return node.path("cni-plugins")


def cni_plugins() -> dict[str, Path]:
    """The plugins that pods' networks are made of, by the name that a configuration calls them."""
    theirs = {name: CNI_PLUGINS / name for name in ("ptp", "host-local", "loopback")}
    return {**theirs, _POLICY_PLUGIN: binaries.netpol_cni()}


def plugin_socket(node: ClusterNode) -> Path:
    """Where the policy agent hears of new pods."""
    return node.path("netpol", "cni.sock")


def traffic_socket(node: ClusterNode) -> Path:
    """Where the policy agent tells what pods sent and received."""
    return node.path("netpol", "traffic.sock")


def freezer_socket(node: ClusterNode) -> Path:
    """Where the same agent freezes pods and lets them run."""
    return node.path("netpol", "freezer.sock")


def ways_socket(node: ClusterNode) -> Path:
    """Where the same agent leads ports of the facade to pods."""
    return node.path("netpol", "ways.sock")


def pods_file(node: ClusterNode) -> Path:
    """What the policy agent remembers of the node's pods."""
    return node.path("netpol", "pods.json")


def tunnel_socket(node: ClusterNode) -> Path:
    """Where the daemon says which tunnels there are to be."""
    return node.path("netpol", "tunnel.sock")


def cni_conflist(node: ClusterNode) -> str:
    """Pods' network: `ptp`, so that no traffic between pods passes the node's rules unseen.

    After it our own plugin, which lets no pod start before its policies hold.
    """
    address_management = {
        "type": "host-local",
        "ranges": [[{"subnet": node.pod_network}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(node.path("cni-addresses")),
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": address_management}
    policies = {"type": _POLICY_PLUGIN, "socket": str(plugin_socket(node))}
    network = {"cniVersion": "0.4.0", "name": cni_network(node), "plugins": [plugin, policies]}
    return json.dumps(network, indent=1)


def kubelet_json(node: ClusterNode, cgroup_root: str) -> str:
    """The kubelet's configuration.

    `failCgroupV1`: version 1 machines are still around. `volumePluginDir` and `podLogsDir`: the
    defaults are folders of the whole machine. The allow-list: a tenant that pulls the same busybox
    as ours must not make the kubelet ask for credentials when the storage provisioner uses it. Images are
    collected by `image_collector`: the kubelet would take the node's own, which nothing pins.
    """
    pki, socket = node.path("pki"), f"unix://{containerd_socket(node)}"
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": node.serving_ip,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{pki}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{pki}/node.crt",
            "tlsPrivateKeyFile": f"{pki}/node.key",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": cgroup_root,
            "nodeLeaseDurationSeconds": LEASE_S,
            "failSwapOn": False,
            "failCgroupV1": False,
            "clusterDNS": [node.dns_ip],
            "clusterDomain": "cluster.local",
            "resolvConf": "/dev/null",
            "containerRuntimeEndpoint": socket,
            "imageServiceEndpoint": socket,
            "serializeImagePulls": False,
            "maxParallelImagePulls": 4,
            "oomScoreAdj": 0,
            "maxPods": MAX_PODS,
            "podPidsLimit": PIDS_PER_POD,
            "evictionHard": {
                "memory.available": "100Mi",
                "nodefs.available": "1%",
                "nodefs.inodesFree": "1%",
                "imagefs.available": "1%",
            },
            "imageGCHighThresholdPercent": 100,
            "imagePullCredentialsVerificationPolicy": "NeverVerifyAllowlistedImages",
            "preloadedImagesVerificationAllowlist": ["docker.io/local/*"],
            "volumePluginDir": str(node.path("volume-plugins")),
            "podLogsDir": str(node.path("pod-logs")),
        },
        indent=1,
    )


def proxy_json(node: ClusterNode) -> str:
    """kube-proxy's configuration; conntrack's limits belong to the whole machine, so: untouched."""
    return json.dumps(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "iptables",
            "clientConnection": {"kubeconfig": str(node.path("pki", "proxy.conf"))},
            "clusterCIDR": node.pod_network,
            "hostnameOverride": node.name,
            "oomScoreAdj": 0,
            "conntrack": {
                "maxPerCore": 0,
                "min": 0,
                "tcpEstablishedTimeout": "0s",
                "tcpCloseWaitTimeout": "0s",
            },
            "metricsBindAddress": "127.0.0.1:10249",
            "healthzBindAddress": "127.0.0.1:10256",
        },
        indent=1,
    )


def corefile(cluster: Cluster) -> str:
    """CoreDNS: the cluster's own names, and nothing is forwarded to anybody."""
    return f""".:53 {{
  bind {cluster.node_ip}
  errors
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {cluster.path("pki", "dns.conf")}
    pods disabled
  }}
  cache 5
}}
"""


def storage_config(cluster: Cluster) -> str:
    """Where the storage provisioner makes volumes: on each node in a folder of its own."""
    places = [{"node": node.name, "paths": [str(node.path("volumes"))]} for node in cluster.nodes]
    return json.dumps({"nodePathMap": places})
