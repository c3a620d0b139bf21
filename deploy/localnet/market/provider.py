# SPDX-License-Identifier: Apache-2.0
"""The provider of one cluster: registry, facade, activator, daemon, and its row in the market."""

import secrets
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from trustedpods.localnet import network
from trustedpods.localnet.cluster.pki import Authority, CertificateSubject
from trustedpods.localnet.commands import run
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.market import accounts, provider_files
from trustedpods.localnet.market import files as market_files
from trustedpods.localnet.processes import probes
from trustedpods.localnet.processes.units import Part, Step, Unit
from trustedpods.localnet.settings import PULL_PORT, Cluster, Settings
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.cluster import pull_front
from trustedpods.provider.config import load_config
from trustedpods.provider.facade.haproxy.config import SHARED_POOLS, socket_path
from trustedpods.provider.facade.haproxy.files import install
from trustedpods.provider.keys.file import read_key

keys_folder = provider_files.keys_folder

_KEYS_OPTIONS = "size=1m,mode=0700"
_REGISTER_LIMIT_S = 60
_CLUSTER_PARTS = ("controllers", "scheduler", "dns", "storage")
_NODE_PARTS = ("kubelet", "proxy", "netpol")


def units(settings: Settings, cluster: Cluster) -> list[Unit]:
    """Everything of the provider, on top of a chain with a market and a cluster."""
    return [*_facade_units(settings, cluster), *_daemon_units(settings, cluster)]


def _facade_units(settings: Settings, cluster: Cluster) -> list[Unit]:
    name, namespace = cluster.name, cluster.namespace
    facade, prefix = provider_files.facade_config(settings, cluster), network.enter(namespace)
    last_socket = socket_path(facade.activator_dir, facade.pools.total - 1)
    registry_port = cluster.ports.registry
    files = (f"{name}/facade-files",)
    return [
        Step(files[0], partial(_write_facade, settings, cluster), _prepared(cluster)),
        Part(
            f"{name}/registry",
            (*prefix, "docker-registry", "serve", str(cluster.path("registry.yaml"))),
            partial(probes.http_ok, namespace, "127.0.0.1", registry_port, "/v2/"),
            files,
        ),
        *_pull_front_units(cluster, files),
        Part(
            f"{name}/haproxy",
            (*prefix, "haproxy", "-db", SHARED_POOLS, "-f", str(cluster.path("haproxy.cfg"))),
            partial(probes.unix, facade.runtime_socket),
            files,
        ),
        Part(
            f"{name}/activator",
            (*prefix, *_activator(settings, cluster)),
            partial(_socket_made, last_socket),
            files,
            keeps_sockets=True,
        ),
    ]


def _pull_front_units(cluster: Cluster, files: tuple[str, ...]) -> list[Unit]:
    """Where later nodes pull from; a process of its own, so that no pull is in requests' way."""
    if cluster.pull_front is None:
        return []
    argv = (
        *network.enter(cluster.namespace),
        "haproxy",
        "-db",
        "-f",
        str(cluster.path("registry-front.cfg")),
    )
    port = partial(probes.tcp, cluster.namespace, cluster.node_ip, PULL_PORT)
    return [Part(f"{cluster.name}/registry-front", argv, port, files)]


def _node_parts(cluster: Cluster) -> Sequence[str]:
    """What runs on each node before the daemon looks at what nodes can do."""
    return (*_NODE_PARTS, "secrets-store") if cluster.secrets_store else _NODE_PARTS


def _daemon_units(settings: Settings, cluster: Cluster) -> list[Unit]:
    name, prefix = cluster.name, network.enter(cluster.namespace)
    files = Step(
        f"{name}/provider-files",
        partial(_write_provider, settings, cluster),
        ("market", *_prepared(cluster)),
    )
    parts = ["registry", "haproxy", "activator", *(["registry-front"] if cluster.later_nodes else [])]
    if cluster.embedded:
        parts += (*_CLUSTER_PARTS, "ingress") if cluster.ingress else _CLUSTER_PARTS
    nodes = cluster.nodes if cluster.embedded else []
    daemon = Part(
        f"{name}/provider",
        (*prefix, str(_script()), "serve", "--config", str(config_file(cluster))),
        partial(_serves, cluster),
        (
            files.name,
            *(f"{name}/{part}" for part in parts),
            *(f"{node.name}/{part}" for node in nodes for part in _node_parts(cluster)),
        ),
    )
    return [
        files,
        daemon,
        Step(f"{name}/register", partial(_register, prefix, cluster), (daemon.name,)),
    ]


def config_file(cluster: Cluster) -> Path:
    """The daemon's configuration."""
    return cluster.path("provider.toml")


def _serves(cluster: Cluster) -> None:
    """The admin socket is the last that the daemon opens; peers may connect long before."""
    probes.unix(load_config(config_file(cluster)).admin_socket)


def _prepared(cluster: Cluster) -> tuple[str, ...]:
    return (f"{cluster.name}/prepare",) if cluster.embedded else ()


def _script() -> Path:
    """The provider's command, of the same installation as this one."""
    return Path(sys.executable).with_name("trustedpods-provider")


def _activator(settings: Settings, cluster: Cluster) -> list[str]:
    facade = provider_files.facade_config(settings, cluster)
    return [
        sys.executable, "-m", "trustedpods.provider.facade.activator.activator",
        "--sockets", str(facade.activator_dir), "--slots", str(facade.pools.http),
        "--h2-slots", str(facade.pools.h2), "--tcp-slots", str(facade.pools.tcp),
        "--wake-socket", str(provider_files.wake_socket(cluster)),
        "--max-held", str(provider_files.MAX_HELD), "--wake-limit", str(provider_files.MAX_START_S),
    ]  # fmt: skip


def _write_facade(settings: Settings, cluster: Cluster) -> None:
    facade = provider_files.facade_config(settings, cluster)
    private_folder(cluster.path("registry"))
    _make_keys_folder(cluster, provider_files.keys_folder(settings, cluster))
    install(facade, cluster.path("haproxy.cfg"))
    replace_file(cluster.path("registry.yaml"), provider_files.registry_yaml(cluster).encode())
    if cluster.later_nodes:
        _write_pull_front(cluster)


def _write_pull_front(cluster: Cluster) -> None:
    key, front = provider_files.pull_key(cluster), provider_files.pull_front(cluster)
    if not key.exists():
        replace_file(key, secrets.token_hex(32).encode(), 0o600)
    authority = Authority(cluster.path("pki"))
    authority.issue(CertificateSubject("registry-front", "localnet:registry", hosts=(cluster.node_ip,)))
    both = [cluster.path("pki", f"registry-front.{kind}").read_bytes() for kind in ("crt", "key")]
    replace_file(Path(front.certificate), b"".join(both), 0o600)
    text = pull_front.haproxy_cfg(front, read_key(key))
    replace_file(cluster.path("registry-front.cfg"), text.encode(), 0o600)


def _write_provider(settings: Settings, cluster: Cluster) -> None:
    places = {
        "machine": market_files.machine_file(settings.state),
        "owner_key": accounts.owner_key(cluster),
        "operator_key": accounts.operator_key(cluster),
        "kubeconfig": settings.kubeconfig or cluster.path("pki", "provider.conf"),
        "keys": provider_files.keys_folder(settings, cluster),
    }
    _make_keys_folder(cluster, places["keys"])
    private_folder(cluster.path("provider", "spool"))
    owner = accounts.address(accounts.owner_key(cluster))
    made = market_files.read_market(settings.state)
    text = provider_files.provider_toml(settings, cluster, made, owner, places)
    replace_file(config_file(cluster), text.encode())


def _make_keys_folder(cluster: Cluster, folder: Path) -> None:
    private_folder(folder)
    if cluster.embedded and not folder.is_mount():
        run(["mount", "-t", "tmpfs", "-o", _KEYS_OPTIONS, "trustedpods-keys", folder])


def _register(prefix: list[str], cluster: Cluster) -> None:
    argv = [*prefix, str(_script()), "register", "--config", str(config_file(cluster))]
    run(argv, timeout=_REGISTER_LIMIT_S)


def _socket_made(path: Path) -> None:
    if not path.is_socket():
        raise NetworkFailure("no socket yet", where=str(path))
