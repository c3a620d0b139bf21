# SPDX-License-Identifier: Apache-2.0
"""Which forms each verb's answers have: those of a run that is done, and those of one that failed."""

from dataclasses import dataclass
from typing import TypedDict

from trustedpods.publisher.output.answers import market, money, networks, pods, rounds


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
    "delete": VerbAnswers((pods.DeleteJson, money.GoneJson), (pods.DeletingJson,)),
    "deploy": VerbAnswers((pods.DeployJson, pods.DeployPlanJson), (pods.DeployingJson,)),
    "estimate": VerbAnswers((market.EstimateJson,)),
    "events": VerbAnswers((pods.EventsJson,), _VISIT),
    "fund": VerbAnswers((money.FundJson,), (money.FundJson, NothingJson)),
    "image push": VerbAnswers((pods.PushJson,), _VISIT),
    "list": VerbAnswers((pods.ListJson,)),
    "logs": VerbAnswers((pods.LogsJson,), _VISIT),
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
    "watch": VerbAnswers((rounds.WatchJson,)),
    "withdraw": VerbAnswers((money.WithdrawJson,)),
}
"""By the verb, as it is typed."""
