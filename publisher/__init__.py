# SPDX-License-Identifier: Apache-2.0
"""The client of the one who rents: choose a provider, attest it, pay, send, watch, check the bill.

`core` decides and does no I/O, `verbs` do the work and return `results`, `commands` speak with the person.
libp2p and web3 are reached only through `protocol.net` and `contracts.client`; nothing here knows Kubernetes.
A Python program starts with `connect`; the names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trustedpods.protocol.errors import TrustedPodsError
    from trustedpods.publisher.client import Client, LogShow, connect, validate_manifest
    from trustedpods.publisher.core.watch import TopUp
    from trustedpods.publisher.journal import Show
    from trustedpods.publisher.results.attested import AttestResult
    from trustedpods.publisher.results.deployed import DeployPlan, DeployProgress, DeployResult
    from trustedpods.publisher.results.estimated import EstimateResult
    from trustedpods.publisher.results.money import (
        BalanceResult,
        CloseProgress,
        CloseResult,
        DepositOutcome,
        FundProgress,
        FundResult,
    )
    from trustedpods.publisher.results.networks import (
        BreakResult,
        CopiesResult,
        LeasesResult,
        RepairResult,
    )
    from trustedpods.publisher.results.pods import (
        AuditResult,
        BillResult,
        DeleteProgress,
        DeleteResult,
        ExecResult,
        LogsResult,
        StatusResult,
    )
    from trustedpods.publisher.results.providers import InspectResult, ProvidersResult, RenderResult
    from trustedpods.publisher.results.validated import ValidatedNetwork, ValidateResult
    from trustedpods.publisher.results.watched import WatchResult
    from trustedpods.publisher.verbs.watch import WatchOptions

_MODULES = {
    "protocol.errors": ("TrustedPodsError",),
    "publisher.client": ("Client", "LogShow", "connect", "validate_manifest"),
    "publisher.core.watch": ("TopUp",),
    "publisher.journal": ("Show",),
    "publisher.results.attested": ("AttestResult",),
    "publisher.results.deployed": ("DeployPlan", "DeployProgress", "DeployResult"),
    "publisher.results.estimated": ("EstimateResult",),
    "publisher.results.money": (
        "BalanceResult",
        "CloseProgress",
        "CloseResult",
        "DepositOutcome",
        "FundProgress",
        "FundResult",
    ),
    "publisher.results.networks": ("BreakResult", "CopiesResult", "LeasesResult", "RepairResult"),
    "publisher.results.pods": (
        "AuditResult",
        "BillResult",
        "DeleteProgress",
        "DeleteResult",
        "ExecResult",
        "LogsResult",
        "StatusResult",
    ),
    "publisher.results.providers": ("InspectResult", "ProvidersResult", "RenderResult"),
    "publisher.results.validated": ("ValidatedNetwork", "ValidateResult"),
    "publisher.results.watched": ("WatchResult",),
    "publisher.verbs.watch": ("WatchOptions",),
}
"""Where each public name is: web3 and libp2p take a second to import, and `--help` needs neither."""

__all__ = [
    "AttestResult",
    "AuditResult",
    "BalanceResult",
    "BillResult",
    "BreakResult",
    "Client",
    "CloseProgress",
    "CloseResult",
    "CopiesResult",
    "DeleteProgress",
    "DeleteResult",
    "DeployPlan",
    "DeployProgress",
    "DeployResult",
    "DepositOutcome",
    "EstimateResult",
    "ExecResult",
    "FundProgress",
    "FundResult",
    "InspectResult",
    "LeasesResult",
    "LogShow",
    "LogsResult",
    "ProvidersResult",
    "RenderResult",
    "RepairResult",
    "Show",
    "StatusResult",
    "TopUp",
    "TrustedPodsError",
    "ValidateResult",
    "ValidatedNetwork",
    "WatchOptions",
    "WatchResult",
    "connect",
    "validate_manifest",
]


def __getattr__(name: str) -> object:
    """A public name that is used for the first time."""
    for module, names in _MODULES.items():
        if name in names:
            value: object = getattr(import_module(f"trustedpods.{module}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
