# SPDX-License-Identifier: Apache-2.0
"""Which forms each verb's answers have: those of a run that is done, and those of one that failed."""

from dataclasses import dataclass
from typing import TypedDict

from trustedpods.publisher.output.answers import manifests, market, money, networks, pods, rounds


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
    "convert": VerbAnswers((manifests.DraftJson,)),
    "delete": VerbAnswers((pods.DeleteJson, money.GoneJson), (pods.DeletingJson,)),
    "deploy": VerbAnswers((pods.DeployJson, pods.DeployPlanJson), (pods.DeployingJson,)),
    "estimate": VerbAnswers((market.EstimateJson,)),
    "events": VerbAnswers((pods.EventsJson,), _VISIT),
    "fund": VerbAnswers((money.FundJson,), (money.FundJson, NothingJson)),
    "image push": VerbAnswers((pods.PushJson,), _VISIT),
    "init": VerbAnswers((manifests.DraftJson,)),
    "list": VerbAnswers((pods.ListJson,)),
    "logs": VerbAnswers((pods.LogsJson,), _VISIT),
    "network apply": VerbAnswers((networks.NetworkApplyJson,)),
    "network backup": VerbAnswers((networks.NetworkBackupJson,)),
    "network delete": VerbAnswers((networks.NetworkDeleteJson,)),
    "network endpoints": VerbAnswers((networks.NetworkEndpointsJson,)),
    "network fund": VerbAnswers((networks.NetworkFundJson,)),
    "network list": VerbAnswers((networks.NetworkListJson,)),
    "network logs": VerbAnswers((networks.NetworkLogsJson,)),
    "network plan": VerbAnswers((networks.NetworkPlanJson,)),
    "network status": VerbAnswers((networks.NetworkStatusJson,)),
    "open": VerbAnswers((pods.OpenJson,), _VISIT),
    "provider inspect": VerbAnswers((market.InspectJson,)),
    "provider list": VerbAnswers((market.ProvidersJson,)),
    "restart": VerbAnswers((pods.RestartJson, pods.RestartPlanJson), _VISIT),
    "restore": VerbAnswers((rounds.RestoreJson,), _VISIT),
    "rollback": VerbAnswers((pods.DeployJson, pods.DeployPlanJson, pods.VersionsJson), (pods.DeployingJson,)),
    "start": VerbAnswers((pods.StoppedJson,), _VISIT),
    "status": VerbAnswers((pods.StatusJson,), _VISIT),
    "stop": VerbAnswers((pods.StoppedJson,), _VISIT),
    "top": VerbAnswers((pods.TopJson,), _VISIT),
    "usage": VerbAnswers((money.PodUsageJson,), _VISIT),
    "validate": VerbAnswers((manifests.ValidateJson, manifests.ValidatedNetworkJson)),
    "watch": VerbAnswers((rounds.WatchJson,)),
    "withdraw": VerbAnswers((money.WithdrawJson,)),
}
"""By the verb, as it is typed."""
