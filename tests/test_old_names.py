# SPDX-License-Identifier: Apache-2.0
"""Names that the house gave up stay given up: a second word for one thing is how the old ones came to be.

docs/glossary.md has the words that hold.
"""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT

MOVED = {
    "contracts": "facts outgoing rows typed",
    "contracts/client": "outbox permit_turn transactions wire",
    "deploy/localnet": """
        accounts addons binaries cgroups chain cluster cluster_files fd_store market market_files
        pki pricing probes processes provider provider_files supervisor units
    """,
    "protocol/attestation": """
        policy policy_draft policy_file policy_model snp snp_chain snp_policy snp_report tdx
        tdx_events tdx_policy tdx_quote
    """,
    "protocol/net": "guests handshake link muxer session watch",
    "provider": "blobstore gate keyfile keys marks resolver top webhook",
    "provider/app": """
        __init__ accepting assembly board bundles certificates connections daemon desk doctor doors
        evicting facade_keeper fleet importing isolating keeper lease limiting machine meter opening
        operator phases pods presence probes promises reconciler recovery registration removing
        replicas sending settlement slotting steady waiting warning watching
    """,
    "provider/cluster": """
        api builder errors isolation kubeconfig names probe_image proving quantities registry sizes
        streams template traffic watching
    """,
    "provider/core": "admit concurrency life meter record scale scaling settle",
    "provider/facade": """
        activator bodies config files h2_page haproxy_cfg kept_sockets maps probe runtime servers
        sessions splice tls wake
    """,
    "provider/migrations": "__init__ env",
    "provider/server": "answers seats",
    "publisher": "hints memos output reports session upload whole_file",
    "publisher/app": """
        __init__ attest audit bill channel deploy desk evidence facts find handover market memory
        money parcel pods policies provision reach refund release standing watch
    """,
    "publisher/core": "watching",
}
"""Modules by the folder that they were in."""

RENAMED = {
    "contracts/client/allowances.Payment": "TokenPayment",
    "contracts/client/base.Answer": "CallResult",
    "contracts/client/transactions/permit_lock.PermitTurn": "PermitLock",
    "contracts/client/transactions/raw_transactions.Answer": "NodeAnswer",
    "contracts/settlement.Settlement": "ItemSettlement",
    "manifests/egress.Part": "EgressPart",
    "manifests/service.Part": "ServicePart",
    "protocol/attestation/policy/model.Bounds": "ListBounds",
    "protocol/attestation/tdx/events.Event": "RegisterEvent",
    "protocol/net/connection_limits.Guests.knocking": "pending",
    "protocol/net/connection_limits.Guests.seated": "established",
    "protocol/net/connection_limits.Stranger": "PendingConnection",
    "protocol/net/flood_guard.WatchedSession": "GuardedSession",
    "provider/admin/api.OperatorDesk": "AdminApi",
    "provider/admin/eviction.Evictor": "Eviction",
    "provider/admission/admission.Acceptance": "Admission",
    "provider/admission/slot_reservations.Services": "RequestedServices",
    "provider/admission/slot_reservations.SlotPromises": "SlotReservations",
    "provider/admission/tenancy.Isolation": "TenancyGuard",
    "provider/billing/submission.Dispatch": "ClaimSubmission",
    "provider/cluster/client.Cluster.claims": "volume_claims",
    "provider/cluster/image_registry.Registry": "ImageRegistry",
    "provider/cluster/views.ClaimView": "VolumeClaimView",
    "provider/config.AddressText": "ConfiguredAddress",
    "provider/core/egress.Protocol": "PortProtocol",
    "provider/core/lifecycle.Command": "LifecycleCommand",
    "provider/core/lifecycle.Event": "LifecycleEvent",
    "provider/core/lifecycle.Step": "LifecycleStep",
    "provider/core/pod.Scaling.least": "min_replicas",
    "provider/core/pod.Scaling.most": "max_replicas",
    "provider/core/reconcile.Facts": "PodFacts",
    "provider/core/reconcile.Policy": "OperatorTimes",
    "provider/core/scaler/types.Answer": "AnswerWakes",
    "provider/core/scaler/types.Command": "ScalerCommand",
    "provider/core/scaler/types.Event": "ScalerEvent",
    "provider/core/scaler/types.Phase": "ScalePhase",
    "provider/core/scaler/types.Refuse": "RefuseWakes",
    "provider/core/settlement.Candidate": "ClaimCandidate",
    "provider/core/settlement.Fees": "ClaimFees",
    "provider/daemon/registry_row.keep_row": "keep_registry_row",
    "provider/daemon/registry_row.mend_row": "mend_registry_row",
    "provider/facade/certificates.PrivateKey": "TlsKey",
    "provider/facade/facade.Published": "PublishedService",
    "provider/facade/facade.Unpublished": "UnpublishedService",
    "provider/facade/pools.Protocol": "SlotProtocol",
    "provider/facade/slots.Want": "ServiceSpec",
    "provider/keys/generations.Marks": "NewestGenerations",
    "provider/lifecycle/provisioning.Phases": "ProvisioningSteps",
    "provider/lifecycle/reconciler.Money": "PodMoney",
    "provider/lifecycle/removal.Remover": "PodRemoval",
    "provider/lifecycle/workers.Keeper": "PodWorkers",
    "provider/pods/progress.Board": "ProgressFeeds",
    "provider/pods/progress.Feed": "ProgressFeed",
    "provider/pods/progress.Outcome": "ProvisionOutcome",
    "provider/pods/records.Runner": "CommandRunner",
    "provider/server/conversation_limits.Seats": "ConversationLimits",
    "provider/server/conversations.Asked": "Request",
    "provider/server/replies.Answers": "Replies",
    "provider/serving/autoscaler.Fleet": "Autoscaler",
    "provider/serving/facade_sync.FacadeKeeper": "FacadeSync",
    "provider/serving/pod_scaler.Machine": "PodScaler",
    "provider/serving/pod_scaler.Published": "PublishedPod",
    "provider/serving/slots.Services": "ExposedServices",
    "provider/serving/slots.want_of": "service_spec_of",
    "provider/store/claims.Outcome": "ClaimOutcome",
    "provider/store/spool.BlobStore": "Spool",
    "provider/supervise.steadily": "supervise",
    "publisher/core/select.Wish": "Requirements",
    "publisher/market/locations.Place": "PodLocation",
    "publisher/delivery/report.provider_facts": "Session.machine",
    "publisher/delivery/report.statement_facts": "ConfirmedPod",
    "publisher/journal.Journal.as_json": "run_json",
    "publisher/journal.error_facts": "ErrorReport",
    "publisher/market/locations.places": "pod_locations",
    "publisher/market/market.Desk": "MarketAccount",
    "publisher/output/evidence_text.evidence_text": "ListedProvider.evidence",
    "publisher/market/market.Window": "Market",
    "publisher/state/pod_records.Memos": "PodRecords",
    "publisher/state/pod_records.PodMemo": "PodRecord",
    "publisher/state/pod_records.ShapeMemo": "ShapeRecord",
    "publisher/verbs/delivery.HandOver": "Delivery",
    "publisher/verbs/pods.PodVisit": "Visit",
    "publisher/verbs/pods.place_facts": "PodLocation.pod_channel",
    "publisher/verbs/watch.Watched": "WatchedPod",
    "publisher/visits/records.memos": "pod_records",
    "publisher/visits/visit.Visit.memo": "record",
    "publisher/visits/visit.Visit.place": "location",
    "publisher/visits/visit.Standing": "Visit",
}
"""What had the name before, by the module that it is in now, and what it is called instead."""


@cache
def names_in(module: Path) -> frozenset[str]:
    """Everything that a module defines, and `Class.member` for what its classes do."""
    found: set[str] = set()
    for node in ast.parse(module.read_text()).body:
        found |= _defined(node)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{name}" for member in node.body for name in _defined(member)}
    return frozenset(found)


def _defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return {name}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case _:
            return set()


@pytest.mark.parametrize("folder", MOVED)
def test_no_module_is_where_it_was(folder: str) -> None:
    assert [name for name in MOVED[folder].split() if (ROOT / folder / f"{name}.py").exists()] == []


@pytest.mark.parametrize("old", RENAMED)
def test_no_old_name_is_left(old: str) -> None:
    path, _, name = old.partition(".")
    module = ROOT / f"{path}.py"
    assert not module.exists() or name not in names_in(module), f"{old} is called {RENAMED[old]}"


@pytest.mark.parametrize("folder", MOVED)
def test_no_charter_names_a_module_that_has_moved(folder: str) -> None:
    init = ROOT / folder / "__init__.py"
    charter = ast.get_docstring(ast.parse(init.read_text())) or "" if init.exists() else ""
    named = set(re.findall(r"`(\w+)`", charter)) & {*MOVED[folder].split(), "app"}
    assert [name for name in named if not list(init.parent.glob(f"{name}*"))] == []


def test_names_of_classes_functions_and_fields_are_found() -> None:
    found = names_in(ROOT / "provider/core/pod.py")
    assert {"Phase", "Phase.SERVING", "ENDED", "PodSize.replica", "PodRecord.generation"} <= found
