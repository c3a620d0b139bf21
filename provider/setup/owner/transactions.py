# SPDX-License-Identifier: Apache-2.0
"""What the owner signs, as any wallet takes it: to, value, data, chain. Pure: nothing is signed here."""

from dataclasses import dataclass

from trustedpods.contracts.client.rpc.contract import Contract, ContractCall
from trustedpods.contracts.records import Market, OperatorRights
from trustedpods.contracts.registry_rows import RegistryRow, entry, pack_offer
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.ids import Address, address_bytes
from trustedpods.protocol.messages.provider import Profile
from trustedpods.provider.config import ProviderConfig

NO_RIGHTS = OperatorRights(registry=False, payments=False)


@dataclass(frozen=True, slots=True)
class UnsignedTransaction:
    """One transaction, and what it does. `value` is in wei, `data` the calldata.

    `link` is an `ethereum:` address (EIP-681) that wallets open; None where EIP-681 has no words for it: it
    knows no structs.
    """

    purpose: str
    chain_id: int
    sender: Address | None
    to: Address
    value: int
    data: bytes
    link: str | None = None

    def plain(self) -> dict[str, object]:
        """As JSON-RPC has it (`eth_sendTransaction`), with the purpose and the link beside it."""
        made: dict[str, object] = {"purpose": self.purpose, "chainId": self.chain_id}
        if self.sender is not None:
            made["from"] = self.sender
        made |= {"to": self.to, "value": hex(self.value), "data": f"0x{self.data.hex()}"}
        return made if self.link is None else made | {"link": self.link}


def registering(market: Market, row: RegistryRow) -> UnsignedTransaction:
    """Write the row: the one transaction without which nobody finds the provider. `BadInput` as `entry`."""
    call = Contract("PodRegistry", market.registry).functions.register(row.daemon, entry(row))
    return _of(market, row.owner, call, f"write the registry row {row.owner}/{row.daemon}")


def naming_operator(
    market: Market, owner: Address, operator: Address, there: OperatorRights = NO_RIGHTS
) -> list[UnsignedTransaction]:
    """Let the operator's key keep the row and hand in moves of channels: one for each contract.

    In the order (registry, payments), without those that are *there*.
    """
    purposes = ("keep the registry row true after a reboot, and fresh each day",
                "move channels to the keys of a new boot")  # fmt: skip
    made = _of_operator(market, owner, operator, "let the operator's key", purposes, allowed=True)
    return [one for one, has in zip(made, (there.registry, there.payments), strict=True) if not has]


def taking_back(
    market: Market, owner: Address, operator: Address, there: OperatorRights
) -> list[UnsignedTransaction]:
    """Take the rights back that a former operator's key has *there*, in the same order."""
    purposes = ("write the registry row any more", "move channels any more")
    made = _of_operator(market, owner, operator, f"no longer let {operator}", purposes, allowed=False)
    return [one for one, has in zip(made, (there.registry, there.payments), strict=True) if has]


def _of_operator(
    market: Market, owner: Address, operator: Address, who: str, purposes: tuple[str, str], *, allowed: bool
) -> list[UnsignedTransaction]:
    contracts = (("PodRegistry", market.registry), ("PodPayments", market.payments))
    word = "true" if allowed else "false"
    return [
        _of(
            market,
            owner,
            Contract(name, address).functions.setOperator(operator, allowed),
            f"{who} {purpose}",
            f"ethereum:{address}@{market.chain_id}/setOperator?address={operator}&bool={word}",
        )
        for (name, address), purpose in zip(contracts, purposes, strict=True)
    ]


def funding(market: Market, operator: Address, wei: int) -> UnsignedTransaction:
    """Give the operator's key coin for gas. Anybody may send it."""
    link = f"ethereum:{operator}@{market.chain_id}?value={wei}"
    return UnsignedTransaction(
        "give the operator's key coin for gas", market.chain_id, None, operator, wei, b"", link
    )


def differs(written: RegistryRow | None, wanted: RegistryRow) -> str | None:
    """Why the owner has to write the row (again); None where it stands as it should.

    Endpoint and profile are the daemon's own to keep, once its operator is named.
    """
    if written is None:
        return "there is no row yet"
    parts = {
        "class": (written.trust, wanted.trust),
        "TEE": (sorted(written.tee), sorted(wanted.tee)),
        "chip": (written.chip_digest, wanted.chip_digest),
        "token": (written.token, wanted.token),
        "region": (written.region, wanted.region),
        "prices or least terms": (
            pack_offer(written.prices, written.least),
            pack_offer(wanted.prices, wanted.least),
        ),
    }
    different = [name for name, (there, here) in parts.items() if there != here]
    return f"its {', '.join(different)} differs from the settings" if different else None


def offered_otherwise(config: ProviderConfig, profile: bytes) -> list[str]:
    """What the running daemon tells publishers otherwise than its settings have it by now, in words.

    It read them when it started, so a row of the settings would promise what nobody gets. *profile* is the
    daemon's own, coded.
    """
    try:
        told = decode(profile, Profile)
    except RemoteProtocolError:
        return ["its version"]
    identity = config.identity
    parts = {
        "owner": (told.owner, address_bytes(Address(identity.owner))),
        "number": (told.daemon, identity.daemon),
        "class": (told.trust, identity.trust),
        "region": (told.region, identity.region),
        "domain": ((told.domain, told.url_suffix), (identity.domain, identity.url_suffix)),
        "token": (told.token, address_bytes(Address(config.market.token))),
        "prices": (told.prices, config.prices),
        "least terms": (told.least, config.least),
        "grace": (told.grace_s, config.terms.grace_s),
        "largest image": (told.max_image_mib, config.terms.max_image_mib),
    }
    return [name for name, (there, here) in parts.items() if there != here]


def _of(
    market: Market, owner: Address, call: ContractCall, purpose: str, link: str | None = None
) -> UnsignedTransaction:
    return UnsignedTransaction(purpose, market.chain_id, owner, call.to, 0, call.data, link)
