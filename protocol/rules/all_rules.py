# SPDX-License-Identifier: Apache-2.0
"""The list of all rules, and what to do about one."""

from trustedpods.protocol.rules.money import MONEY
from trustedpods.protocol.rules.networks import NETWORKS
from trustedpods.protocol.rules.pods import PODS
from trustedpods.protocol.rules.rule import Rule
from trustedpods.protocol.rules.talking import TALKING

RULES: dict[str, Rule] = PODS | MONEY | NETWORKS | TALKING
"""By name; `capacity-*` stands for all that begin so and have no line of their own."""


def rule_named(name: str) -> Rule | None:
    """The rule of an error; None where it is somebody else's word, as Kubernetes' reasons are."""
    head, dash, _ = name.partition("-")
    return RULES.get(name) or (RULES.get(f"{head}-*") if dash else None)
