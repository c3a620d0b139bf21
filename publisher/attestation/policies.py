# SPDX-License-Identifier: Apache-2.0
"""Which policy holds for a pod: the one of the command line, else the manifest's, else the market's own."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.publisher.market.market import OpenMarket

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy


def policy_name(flag: str | None, manifest: str | None) -> str | None:
    """The name of the policy that holds; a file by its absolute path, so that `watch` finds it again."""
    name = flag or manifest
    if name is not None and ("/" in name or name.endswith(".toml")):
        return str(Path(name).absolute())
    return name


def policy_for(market: OpenMarket, trust: TrustClass, name: str | None) -> "Policy":
    """The policy *name* in this market, or the market's own.

    A provider of class open is only ever accepted for a pod of class open, whatever the file says.
    Raises BadInput for a wrong file, NoContext for a name that nobody keeps, `Refused` when the policy
    accepts no provider of the pod's class.
    """
    if name is None:
        return market.policy(trust)
    from trustedpods.publisher.attestation.evidence import read_policy, simulated_market  # noqa: PLC0415 - as the market's

    policy = read_policy(name).in_market(simulated_market(market.file))
    if not policy.accepts(trust):
        raise Refused(
            f"the pod wants class {trust}, and the policy {policy.label} does not accept it",
            rule="policy",
            hint=f'add "{trust}" to its `trust`, or choose another policy',
        )
    return replace(policy, allow_open=policy.allow_open and trust == "open")
