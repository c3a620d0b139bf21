# SPDX-License-Identifier: Apache-2.0
"""Which forms each verb's answers have: those of a run that is done, and those of one that failed."""

from dataclasses import dataclass
from typing import TypedDict

from trustedpods.publisher.output.answers import manifests, market, money, pods, rounds, shell
from trustedpods.publisher.output.answers.networks import documents, nodes, owners


class NothingJson(TypedDict):
    """Nothing was known by then."""


@dataclass(frozen=True, slots=True)
class VerbAnswers:
    """Forms of a verb's answers, each with what `RunJson` has; after a failure with `FailedJson` too."""

    done: tuple[type, ...]
    failed: tuple[type, ...] = (NothingJson,)


_VISIT = (pods.VisitingJson,)

ANSWERS = {
    "attest": VerbAnswers((rounds.AttestJson,), (rounds.AttestingJson,)),
    "audit": VerbAnswers((money.AuditJson,), _VISIT),
    "backup": VerbAnswers((rounds.BackupJson, rounds.BackupsJson, rounds.BackupScheduleJson), _VISIT),
    "balance": VerbAnswers((money.BalanceJson,)),
    "bill": VerbAnswers((money.BillJson,), _VISIT),
    "close": VerbAnswers((money.CloseJson,), (money.ClosingJson,)),
    "context fetch": VerbAnswers((shell.ContextsJson,)),
    "context list": VerbAnswers((shell.ContextsJson,)),
    "context map": VerbAnswers((shell.ContextsJson,)),
    "context unmap": VerbAnswers((shell.ContextsJson,)),
    "context use": VerbAnswers((shell.ContextsJson,)),
    "convert": VerbAnswers((manifests.DraftJson,)),
    "delete": VerbAnswers((pods.DeleteJson, money.GoneJson), (pods.DeletingJson,)),
    "deploy": VerbAnswers((pods.DeployJson, pods.DeployPlanJson), (pods.DeployingJson,)),
    "estimate": VerbAnswers((market.EstimateJson,)),
    "events": VerbAnswers((pods.EventsJson,), _VISIT),
    "fund": VerbAnswers((money.FundJson,), (money.FundJson, NothingJson)),
    "history": VerbAnswers((documents.HistoryJson,)),
    "image push": VerbAnswers((pods.PushJson,), _VISIT),
    "init": VerbAnswers((manifests.DraftJson,)),
    "list": VerbAnswers((pods.ListJson,)),
    "lock break": VerbAnswers((documents.BreakJson,)),
    "lock status": VerbAnswers((documents.LeasesJson,)),
    "logs": VerbAnswers((pods.LogsJson,), _VISIT),
    "network accept": VerbAnswers((owners.LinkJson,)),
    "network apply": VerbAnswers((nodes.NetworkApplyJson,)),
    "network backup": VerbAnswers((nodes.NetworkBackupJson,)),
    "network card": VerbAnswers((owners.CardJson,)),
    "network connect": VerbAnswers((documents.ConnectJson,)),
    "network delete": VerbAnswers((nodes.NetworkDeleteJson,)),
    "network endpoints": VerbAnswers((nodes.NetworkEndpointsJson,)),
    "network export": VerbAnswers((owners.ExportJson,)),
    "network fund": VerbAnswers((nodes.NetworkFundJson,)),
    "network history": VerbAnswers((documents.HistoryJson,)),
    "network import": VerbAnswers((owners.LinkJson,)),
    "network init": VerbAnswers((owners.NetworkDraftJson,)),
    "network invite": VerbAnswers((owners.LinkJson,)),
    "network join": VerbAnswers((owners.LinkJson,)),
    "network leave": VerbAnswers((owners.LinkJson,)),
    "network list": VerbAnswers((nodes.NetworkListJson,)),
    "network logs": VerbAnswers((nodes.NetworkLogsJson,)),
    "network lost": VerbAnswers((documents.MembersJson,)),
    "network member add": VerbAnswers((documents.MembersJson,)),
    "network member remove": VerbAnswers((documents.MembersJson,)),
    "network member role": VerbAnswers((documents.MembersJson,)),
    "network plan": VerbAnswers((nodes.NetworkPlanJson,)),
    "network render": VerbAnswers((owners.NetworkRenderJson,)),
    "network status": VerbAnswers((nodes.NetworkStatusJson,)),
    "open": VerbAnswers((pods.OpenJson,), _VISIT),
    "provider inspect": VerbAnswers((market.InspectJson,)),
    "provider list": VerbAnswers((market.ProvidersJson,)),
    "render": VerbAnswers((market.RenderJson,)),
    "restart": VerbAnswers((pods.RestartJson, pods.RestartPlanJson), _VISIT),
    "restore": VerbAnswers((rounds.RestoreJson,), _VISIT),
    "rollback": VerbAnswers((pods.DeployJson, pods.DeployPlanJson, pods.VersionsJson), (pods.DeployingJson,)),
    "start": VerbAnswers((pods.StoppedJson,), _VISIT),
    "state backup": VerbAnswers((documents.StateBackupJson,)),
    "state compare": VerbAnswers((documents.CopiesJson,)),
    "state migrate": VerbAnswers((documents.MigrateJson,)),
    "state repair": VerbAnswers((documents.RepairJson,)),
    "state restore": VerbAnswers((documents.StateRestoreJson,)),
    "state show": VerbAnswers((documents.CopiesJson,)),
    "status": VerbAnswers((pods.StatusJson,), _VISIT),
    "stop": VerbAnswers((pods.StoppedJson,), _VISIT),
    "top": VerbAnswers((pods.TopJson,), _VISIT),
    "usage": VerbAnswers((money.PodUsageJson,), _VISIT),
    "validate": VerbAnswers((manifests.ValidateJson, manifests.ValidatedNetworkJson)),
    "version": VerbAnswers((shell.VersionJson,)),
    "watch": VerbAnswers((rounds.WatchJson,)),
    "withdraw": VerbAnswers((money.WithdrawJson,)),
}
"""By the verb, as it is typed."""
