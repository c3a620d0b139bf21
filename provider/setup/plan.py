# SPDX-License-Identifier: Apache-2.0
"""SetupAnswers and facts in, settings, files and things to do out. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from trustedpods.protocol.messages.provider import Prices
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.setup.answers import SetupAnswers, tokens
from trustedpods.provider.setup.configuration import DATA, OPEN_TO_THE_WORLD, PORTS, Chosen, settings_of
from trustedpods.provider.setup.facts import ClusterFound, MachineFound, MarketFound, is_public
from trustedpods.provider.setup.market_prices import listed_prices, mantissas, whole
from trustedpods.provider.setup.toml.commented import commented

REGISTRY_FILE = "registry.yaml"
ROW_FILE = "registry-row.json"
UNITS = ("trustedpods-registry", "trustedpods-activator", "trustedpods-haproxy", "trustedpods-provider")
"""In the order in which they need each other."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file by its whole path, and whether users other than the daemon's may read it."""

    path: str
    text: str
    private: bool


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """The settings, the files that hold them, and what the operator has to do or to know, a line each."""

    config: ProviderConfig
    files: tuple[PlannedFile, ...]
    to_do: tuple[str, ...]


def planned(
    chosen: Chosen,
    config_path: str,
    cluster: ClusterFound,
    machine: MachineFound,
    existing: ProviderConfig | None,
) -> SetupPlan:
    """What becomes of it. `BadInput` where choice and settings do not go together."""
    folder = config_path.rpartition("/")[0]
    config = settings_of(chosen, folder, cluster, machine, existing)
    files = (
        PlannedFile(config_path, commented(config), private=True),
        PlannedFile(f"{folder}/{REGISTRY_FILE}", _registry_yaml(config, chosen.data), private=False),
    )
    return SetupPlan(config, files, tuple(_to_do(chosen, config, cluster, machine, existing)))


def priced(answers: SetupAnswers, existing: ProviderConfig | None, market: MarketFound) -> Prices | None:
    """Prices that are answered, or kept as they are; None where they have to be asked for.

    Of the settings that are there what is not answered anew stays, so a second run changes nothing however
    the market moved meanwhile.
    """
    given = {
        name: None if text is None else tokens(text, market.decimals)
        for name, text in {
            "core_hour": answers.core_hour,
            "gib_hour": answers.gib_hour,
            "stored_gib_hour": answers.stored_gib_hour,
            "egress_gib": answers.egress_gib,
            "ingress_gib": answers.ingress_gib,
        }.items()
    }
    if existing is not None:
        if not any(value is not None for value in given.values()):
            return existing.prices
        there = listed_prices(existing.prices)
        given = {name: getattr(there, name) if value is None else value for name, value in given.items()}
    core, gib = given.pop("core_hour"), given.pop("gib_hour")
    return None if core is None or gib is None else mantissas(whole(core, gib, market.asked, **given))


def suggested(market: MarketFound) -> tuple[Fraction, Fraction] | None:
    """The middle of what comparable providers ask: base units per core-hour and GiB-hour."""
    asked = market.asked
    return None if asked is None else (asked.core_hour.middle, asked.gib_hour.middle)


def _to_do(
    chosen: Chosen,
    config: ProviderConfig,
    cluster: ClusterFound,
    machine: MachineFound,
    existing: ProviderConfig | None,
) -> Iterator[str]:
    for port, use in machine.taken.items() if existing is None else ():
        yield f"port {port} is taken by another program: free it, it is for {use}"
    if not cluster.nodes:
        yield "no node takes pods now: kubectl get nodes; uncordon what may run pods"
    simulated = config.identity.tee.startswith("simulated:")  # a localnet's, which says so everywhere
    if machine.tee is None and chosen.trust == "sealed" and not simulated:
        yield 'the kernel offers no TEE, and class sealed needs one: answer trust = "open", or boot one'
    if chosen.data != DATA and existing is None:
        units = " and ".join((UNITS[0], UNITS[3]))
        yield (
            f"let the daemon's user and its units write to {chosen.data}: make the folder (mode 0700), and "
            f"systemctl edit {units}: [Service] ReadWritePaths={chosen.data}"
        )
    if not config.net.announce and not is_public(machine.address):
        yield (
            f"{machine.address} is no public address: forward the ports "
            f"{', '.join(map(str, OPEN_TO_THE_WORLD))} to this machine, and run this with --public-address"
        )


def open_ports() -> list[str]:
    """The ports that a firewall must let in, each with its use."""
    return [f"{port}/tcp: {PORTS[port]}" for port in OPEN_TO_THE_WORLD]


def _registry_yaml(config: ProviderConfig, data: str) -> str:
    return f"""# SPDX-License-Identifier: Apache-2.0
# The image registry, on the loopback only; written by `trustedpods-provider setup`.
version: 0.1
log:
  level: warn
  accesslog:
    disabled: true
storage:
  filesystem:
    # What ended pods had goes at each start, as the unit says.
    rootdirectory: {data}/registry
  delete:
    enabled: true
http:
  addr: {config.cluster.registry}
"""
