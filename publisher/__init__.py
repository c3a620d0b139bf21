# SPDX-License-Identifier: Apache-2.0
"""The client of the one who rents: choose a provider, attest it, pay, send, watch, check the bill.

`core` decides and does no I/O, `verbs` do the work and return `results`, `commands` speak with the person.
libp2p and chains are reached only through `protocol.net` and `contracts.client`; nothing here knows more of
Kubernetes than a port-forward by `kubectl` (`networks.port_forward`).
A Python program starts with `connect`; the names below are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trustedpods.protocol.errors import TrustedPodsError
    from trustedpods.publisher.blocking.client import BlockingClient
    from trustedpods.publisher.client import Client, connect, run, validate_manifest
    from trustedpods.publisher.core.networks.planning.replacing import Replacing
    from trustedpods.publisher.core.watch import TopUp
    from trustedpods.publisher.journal import Show
    from trustedpods.publisher.network_client import LogShow
    from trustedpods.publisher.results.attested import AttestResult
    from trustedpods.publisher.results.deployed import (
        DeployPlanResult,
        DeployProgress,
        DeployResult,
        PushResult,
        RestartResult,
        VersionsResult,
    )
    from trustedpods.publisher.results.estimated import EstimateResult
    from trustedpods.publisher.results.money import (
        BalanceResult,
        CloseProgress,
        CloseResult,
        DepositOutcome,
        FundProgress,
        FundResult,
        GoneResult,
        WithdrawResult,
    )
    from trustedpods.publisher.results.networks import (
        ApplyResult,
        BackupResult,
        BreakResult,
        CardResult,
        ConnectResult,
        CopiesResult,
        HistoryResult,
        KeptNetworksResult,
        LeasesResult,
        MembersResult,
        MigrateResult,
        NetworkDeleteResult,
        NetworkEndpointsResult,
        NetworkFundResult,
        NetworkLogsResult,
        NetworkStatusResult,
        PlanResult,
        RepairResult,
        RestoreResult,
    )
    from trustedpods.publisher.results.pods import (
        AuditResult,
        BillResult,
        DeleteProgress,
        DeleteResult,
        EventsResult,
        ExecResult,
        LogsResult,
        StatusResult,
        StoppedPod,
        TopResult,
        UsageResult,
    )
    from trustedpods.publisher.results.providers import (
        InspectResult,
        ListProgress,
        ProvidersResult,
        RenderResult,
    )
    from trustedpods.publisher.results.streams.copied import CopyResult
    from trustedpods.publisher.results.streams.followed import FollowedLogLine
    from trustedpods.publisher.results.streams.forwarded import ForwardResult
    from trustedpods.publisher.results.validated import ValidatedNetwork, ValidateResult
    from trustedpods.publisher.results.watched import OverviewResult, WatchResult
    from trustedpods.publisher.verbs.watch import WatchOptions

_MODULES = {
    "protocol.errors": ("TrustedPodsError",),
    "publisher.blocking.client": ("BlockingClient",),
    "publisher.client": ("Client", "connect", "run", "validate_manifest"),
    "publisher.core.networks.planning.replacing": ("Replacing",),
    "publisher.core.watch": ("TopUp",),
    "publisher.journal": ("Show",),
    "publisher.network_client": ("LogShow",),
    "publisher.results.attested": ("AttestResult",),
    "publisher.results.streams.copied": ("CopyResult",),
    "publisher.results.deployed": (
        "DeployPlanResult",
        "DeployProgress",
        "DeployResult",
        "PushResult",
        "RestartResult",
        "VersionsResult",
    ),
    "publisher.results.estimated": ("EstimateResult",),
    "publisher.results.streams.followed": ("FollowedLogLine",),
    "publisher.results.streams.forwarded": ("ForwardResult",),
    "publisher.results.money": (
        "BalanceResult",
        "CloseProgress",
        "CloseResult",
        "DepositOutcome",
        "FundProgress",
        "FundResult",
        "GoneResult",
        "WithdrawResult",
    ),
    "publisher.results.networks": (
        "ApplyResult",
        "BackupResult",
        "BreakResult",
        "CardResult",
        "ConnectResult",
        "CopiesResult",
        "HistoryResult",
        "KeptNetworksResult",
        "LeasesResult",
        "MembersResult",
        "MigrateResult",
        "NetworkDeleteResult",
        "NetworkEndpointsResult",
        "NetworkFundResult",
        "NetworkLogsResult",
        "NetworkStatusResult",
        "PlanResult",
        "RepairResult",
        "RestoreResult",
    ),
    "publisher.results.pods": (
        "AuditResult",
        "BillResult",
        "DeleteProgress",
        "DeleteResult",
        "EventsResult",
        "ExecResult",
        "LogsResult",
        "StatusResult",
        "StoppedPod",
        "TopResult",
        "UsageResult",
    ),
    "publisher.results.providers": ("InspectResult", "ListProgress", "ProvidersResult", "RenderResult"),
    "publisher.results.validated": ("ValidatedNetwork", "ValidateResult"),
    "publisher.results.watched": ("OverviewResult", "WatchResult"),
    "publisher.verbs.watch": ("WatchOptions",),
}
"""Where each public name is: the doors to libp2p and to a chain load slowly, and `--help` needs neither."""

__all__ = [
    "ApplyResult",
    "AttestResult",
    "AuditResult",
    "BackupResult",
    "BalanceResult",
    "BillResult",
    "BlockingClient",
    "BreakResult",
    "CardResult",
    "Client",
    "CloseProgress",
    "CloseResult",
    "ConnectResult",
    "CopiesResult",
    "CopyResult",
    "DeleteProgress",
    "DeleteResult",
    "DeployPlanResult",
    "DeployProgress",
    "DeployResult",
    "DepositOutcome",
    "EstimateResult",
    "EventsResult",
    "ExecResult",
    "FollowedLogLine",
    "ForwardResult",
    "FundProgress",
    "FundResult",
    "GoneResult",
    "HistoryResult",
    "InspectResult",
    "KeptNetworksResult",
    "LeasesResult",
    "ListProgress",
    "LogShow",
    "LogsResult",
    "MembersResult",
    "MigrateResult",
    "NetworkDeleteResult",
    "NetworkEndpointsResult",
    "NetworkFundResult",
    "NetworkLogsResult",
    "NetworkStatusResult",
    "OverviewResult",
    "PlanResult",
    "ProvidersResult",
    "PushResult",
    "RenderResult",
    "RepairResult",
    "Replacing",
    "RestartResult",
    "RestoreResult",
    "Show",
    "StatusResult",
    "StoppedPod",
    "TopResult",
    "TopUp",
    "TrustedPodsError",
    "UsageResult",
    "ValidateResult",
    "ValidatedNetwork",
    "VersionsResult",
    "WatchOptions",
    "WatchResult",
    "WithdrawResult",
    "connect",
    "run",
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
