# SPDX-License-Identifier: Apache-2.0
"""Answers on documents, teams and other owners: each result as it is printed, held to its schema."""

import json
from pathlib import Path

import pytest

from tests.publisher.conftest import ListShow
from tests.publisher.output.answers.held import hold
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.ids import parse_address
from trustedpods.protocol.networks.documents import NOTHING, Copy, Document
from trustedpods.protocol.networks.history import Argument, HistoryRecord
from trustedpods.protocol.networks.leases import Attempt, Broken, Command, LeaseStatus, LeaseWaiter
from trustedpods.protocol.networks.members import Role
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.output.json_run import run_json
from trustedpods.publisher.results import networks as results
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.providers import ProviderId

ALICE = parse_address("0x" + "a1" * 20)
BOB = parse_address("0x" + "b0" * 20)
SHOP = results.NetworkId(ALICE, "shop")
DOCUMENT = Document(7, b"sealed")
AWAY = ErrorReport.of(NetworkFailure("nobody answers", where="k2"))
ATTEMPT, COMMAND = Attempt(3, "ab12", ALICE), Command("network apply", "laptop", 1_790_000_000)
HELD = LeaseStatus(
    4,
    ATTEMPT,
    COMMAND,
    19_000,
    (LeaseWaiter(Attempt(5, "cd34", BOB), COMMAND, aside=True),),
    (Broken(ATTEMPT, COMMAND, BOB, "gone", 1_790_000_100),),
)
FREE = LeaseStatus(0, None, None, None, (), ())
RAN = HistoryRecord(
    at=1_790_000_000,
    by=bytes(20),
    verb="network apply",
    arguments=[Argument(name="FILE", value="shop.yaml"), Argument(name="--token", value=None)],
    result="",
    generation=3,
)
ENDED = RAN.model_copy(update={"ended": 1_790_000_009, "result": "done"})
MEMBERS = results.MembersResult(SHOP, {ALICE: Role.OWNER}, {"k3": "burnt"}, DOCUMENT)
LINK = results.LinkResult(
    SHOP, "acme", results.OwnerStatus(BOB, "open", {"db": ("tcp://a:1",)}), changed=True, came=("db",)
)
NODE = results.RenderedNode("a", "shop-a", {"kind": "Pod", "spec": {"containers": [{"name": "c"}]}})
AT = ProviderId(BOB, 1, "/ip4/127.0.0.1/tcp/4001", "eu")

RESULTS = {
    "lock status": results.LeasesResult(SHOP, {"k1": HELD, "k2": AWAY, "k3": FREE}),
    "lock break": results.BreakResult(SHOP, "gone", {"k1": BOB, "k2": None}),
    "history": results.HistoryResult(SHOP, (RAN, ENDED), 2, ()),
    "network history": results.HistoryResult(SHOP, (), 0, ()),
    "network member add": MEMBERS,
    "network member role": MEMBERS,
    "network member remove": MEMBERS,
    "network lost": MEMBERS,
    "state backup": results.BackupResult(SHOP, Path("shop.backup"), DOCUMENT),
    "state migrate": results.MigrateResult(SHOP, ("adds links",), 5, 6, None),
    "state restore": results.RestoreResult(SHOP, DOCUMENT, DOCUMENT, ("node a",)),
    "state show": results.CopiesResult(
        SHOP,
        {"k1": Copy(DOCUMENT, DOCUMENT), "k2": AWAY, "k3": Copy(NOTHING)},
        being_written=True,
        difference="",
    ),
    "state compare": results.CopiesResult(SHOP, {}, being_written=False, difference="generation"),
    "state repair": results.RepairResult(SHOP, "k1", DOCUMENT),
    "network connect": results.ConnectResult(SHOP, {"k1": "0xb0/1"}, begun=True, generation=1),
    "network card": results.CardResult(ALICE, "card"),
    "network init": results.NetworkDraftResult(
        "shop", "clique", "shop.yaml", ("shop.yaml",), (), ("clique",)
    ),
    "network render": results.NetworkRenderResult(
        SHOP, (NODE, results.RenderedNode("b", "shop-b", {}, AT, ({"kind": "Secret"},)))
    ),
    "network export": results.ExportResult(SHOP, "signed", None, ("a",), {"genesis.json": "00"}),
    "network import": LINK,
    "network invite": LINK,
    "network join": LINK,
    "network accept": LINK,
    "network leave": LINK,
}
"""A result of each verb, with all that may be told beside the rest."""


@pytest.mark.parametrize("verb", RESULTS)
def test_a_result_is_as_its_schema_has_it(verb: str) -> None:
    printed = run_json(json_of(RESULTS[verb]), Journal(ListShow()), verb=verb)
    hold([*verb.split(), "-o", "json"], json.dumps(printed))


def test_a_field_too_few_is_found() -> None:
    tree = run_json(json_of(RESULTS["state repair"]), Journal(ListShow()), verb="state repair")
    with pytest.raises(AssertionError, match="no from"):
        hold(["state", "repair", "-o", "json"], json.dumps({k: v for k, v in tree.items() if k != "from"}))
