# SPDX-License-Identifier: Apache-2.0
"""Everything that the guest runs, as units: the cluster's, without namespaces, then facade and daemon."""

import sys
from functools import partial
from pathlib import Path

from trustedpods.localnet.cluster import binaries, cluster
from trustedpods.localnet.commands import run
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.guest import daemon_files, machine_network
from trustedpods.localnet.guest.configuration import OCTET, GuestConfiguration
from trustedpods.localnet.market import provider_files
from trustedpods.localnet.processes import probes
from trustedpods.localnet.processes.units import Part, Step, Unit
from trustedpods.localnet.settings import Cluster, ClusterSettings, Knobs, Ports, Settings
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.whole_file import private_folder
from trustedpods.provider.config import load_config
from trustedpods.provider.facade.haproxy.config import SHARED_POOLS, socket_path
from trustedpods.provider.facade.haproxy.files import install

REGISTRY_PORT = 5000
METRICS_PORT = 9464

_NOT_HERE = ("balancers",)
"""Units of a localnet's cluster that a machine with one address has no use for."""

_MEMORY_OPTIONS = "size=4m,mode=0700"
_PARTS = ("controllers", "scheduler", "dns", "storage", "kubelet", "proxy", "netpol", "tunnels")


def settings(state: Path) -> Settings:
    """Of the one cluster that has the machine alone, with its files in *state*.

    Its pods have user ids of their own.
    """
    ports = Ports(
        chain=0, http=80, https=443, registry=REGISTRY_PORT, metrics=METRICS_PORT,
        peer=machine_network.PEER_PORT,
    )  # fmt: skip
    found = ClusterSettings(index=1, ports=ports)
    knobs = Knobs(user_namespaces=True)
    return Settings(name="guest", state=state, octet=OCTET, clusters=(found,), knobs=knobs, alone=True)


def units(made: Settings, configuration: GuestConfiguration) -> list[Unit]:
    """All units, each with what it needs."""
    (one,) = made.all_clusters()
    prepare = Step(f"{one.name}/prepare", partial(_prepare, made, one, configuration))
    left_out = {prepare.name, *(f"{one.name}/{name}" for name in _NOT_HERE)}
    of_cluster = [unit for unit in cluster.units(made, one) if unit.name not in left_out]
    return [prepare, *of_cluster, *_facade(one, configuration), *_daemon(one, configuration)]


def _prepare(made: Settings, one: Cluster, configuration: GuestConfiguration) -> None:
    """The network, then certificates in memory, then files."""
    machine_network.make(one, configuration.network, configuration.operator.signer)
    for name in ("pki", "keys"):
        folder = one.path(name)
        private_folder(folder)
        if not folder.is_mount():
            words = ["mount", "-t", "tmpfs", "-o", f"{_MEMORY_OPTIONS},nosuid,nodev,noexec", "memory"]
            run([*words, folder])
    cluster.write_files(made, one)


def _facade(one: Cluster, configuration: GuestConfiguration) -> list[Unit]:
    facade = daemon_files.facade_config(one, daemon_files.card_address(configuration))
    files = f"{one.name}/facade-files"
    last = socket_path(facade.activator_dir, facade.pools.total - 1)
    activator = (
        sys.executable, "-m", "trustedpods.provider.facade.activator.activator",
        "--sockets", str(facade.activator_dir), "--slots", str(facade.pools.http),
        "--h2-slots", str(facade.pools.h2), "--tcp-slots", str(facade.pools.tcp),
        "--wake-socket", str(provider_files.wake_socket(one)),
        "--max-held", str(provider_files.MAX_HELD), "--wake-limit", str(provider_files.MAX_START_S),
    )  # fmt: skip
    return [
        Step(files, partial(_write_facade, one, configuration), (f"{one.name}/prepare",)),
        Part(
            f"{one.name}/registry",
            ("docker-registry", "serve", str(one.path("registry.yaml"))),
            partial(probes.http_ok, None, "127.0.0.1", REGISTRY_PORT, "/v2/", probes.limit(one)),
            (files,),
        ),
        Part(
            f"{one.name}/haproxy",
            ("haproxy", "-db", SHARED_POOLS, "-f", str(one.path("haproxy.cfg"))),
            partial(probes.unix, facade.runtime_socket),
            (files,),
        ),
        Part(f"{one.name}/activator", activator, partial(_socket_made, last), (files,), keeps_sockets=True),
    ]


def _daemon(one: Cluster, configuration: GuestConfiguration) -> list[Unit]:
    file = one.path("provider.toml")
    programs = binaries.installed()
    program = str(programs / "trustedpods-provider") if programs else "trustedpods-provider"
    files = Step(
        f"{one.name}/provider-files",
        partial(_write_provider, one, configuration, file),
        (f"{one.name}/prepare",),
    )
    needs = (files.name, *(f"{one.name}/{name}" for name in ("registry", "haproxy", "activator", *_PARTS)))
    return [files, Part(f"{one.name}/provider", (program, "serve", "--config", str(file)),
                        partial(_serves, file), needs)]  # fmt: skip


def _write_facade(one: Cluster, configuration: GuestConfiguration) -> None:
    private_folder(one.path("registry"))
    install(
        daemon_files.facade_config(one, daemon_files.card_address(configuration)), one.path("haproxy.cfg")
    )
    replace_file(one.path("registry.yaml"), provider_files.registry_yaml(one).encode())


def _write_provider(one: Cluster, configuration: GuestConfiguration, file: Path) -> None:
    private_folder(one.path("provider", "spool"))
    replace_file(daemon_files.operator_key(one), configuration.operator.operator_key.encode(), 0o600)
    replace_file(file, daemon_files.provider_toml(one, configuration).encode())


def _serves(file: Path) -> None:
    """The admin socket is the last that the daemon opens."""
    probes.unix(load_config(file).admin_socket)


def _socket_made(path: Path) -> None:
    if not path.is_socket():
        raise NetworkFailure("no socket yet", where=str(path))
