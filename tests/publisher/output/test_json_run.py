# SPDX-License-Identifier: Apache-2.0
"""`-o json` of every verb, done and failed, field by field: programs read it, so no key moves or goes."""

import json

import pytest

from tests.paths import ROOT
from tests.publisher.test_cli import cli
from tests.publisher.verbs.test_attest import draft
from tests.publisher.verbs.test_audit import claim
from trustedpods.protocol.messages.usage import UsageReport
from trustedpods.protocol.units import Usage

__all__ = ["cli", "draft"]

FROZEN = json.loads((ROOT / "tests/vectors/client_json.json").read_text())
"""For each run its fields with their JSON types; steps by name. New fields may come, none may go."""

NARRATION = {"events": "list"}


def fields(tree):
    """The fields of *tree* with the types of their values; a list shows its first element."""
    match tree:
        case dict():
            return {name: fields(value) for name, value in tree.items()}
        case [first, *_]:
            return [fields(first)]
        case _:
            return type(tree).__name__


def frozen(tree):
    """The same of what a verb prints: steps by name, events only as such."""
    steps = {step.pop("name"): fields(step) for step in tree.pop("steps")}
    if "error" in tree:  # how far the transfer beside the conversation came is a matter of time
        steps = {name: found for name, found in steps.items() if name not in ("send", "create")}
        tree.get("sent", {}).pop("sent_blobs", None)
    return fields(tree) | NARRATION | {"steps": steps}


@pytest.fixture
def printed(cli):
    """Run a verb with `-o json`; what it prints must have every frozen field of *run*."""

    async def check(run, *arguments):
        done = await cli(*arguments, "-o", "json")
        seen = frozen(json.loads(done.stdout))
        assert seen == FROZEN[run], done.output
        return json.loads(done.stdout)

    return check


async def test_deploy_and_validate(bench, printed):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve(), bench.peer(trust="open").serve():
        await printed("validate", "validate", file)
        await printed("estimate", "estimate", file)
        await printed("deploy", "deploy", file)
        await printed("deploy again", "deploy", file)


@pytest.mark.parametrize(
    ("run", "faults"),
    [
        ("deploy refused", ["forged-report"]),
        ("deploy refunded", ["crashes"]),
        ("deploy unlocking", ["crashes", "keeps-money"]),
    ],
)
async def test_a_deploy_that_fails_says_where_the_money_is(bench, printed, run, faults):
    bench.wait(release_s=0.1, silent_s=0.1)
    async with bench.peer(*faults).serve():
        await printed(run, "deploy", bench.folder / "pod.yaml", "--wait", "0s")


async def test_an_update_that_fails_keeps_the_channel(bench, printed):
    bench.wait(unsure_s=0.1)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults = {"crashes", "keeps-money"}
        tree = await printed("deploy kept", "deploy", bench.folder / "pod.yaml")
    assert tree["money"]["state"] == "open"


async def test_verbs_on_a_pod(bench, printed):
    async with bench.peer().serve() as peer:
        await printed("status unknown", "status", "hello")
        await bench.deploy()
        await printed("status", "status", "hello")
        await printed("logs", "logs", "hello")
        await printed("fund", "fund", "hello", "1")
        claim(bench, peer, 10, Usage(100 * 9, 64 * 9, 100))
        await printed("bill", "bill", "hello")
        await printed("audit", "audit", "hello", "--manifest", bench.folder / "pod.yaml")
        peer.faults.add("forged-report")
        await printed("status refused", "status", "hello")
        peer.faults.clear()
        await printed("delete", "delete", "hello")
        await printed("status ended", "status", "hello")
        await printed("delete gone", "delete", "hello")
        await printed("close gone", "close", "hello")
        await printed("delete ended", "delete", "nobody")


async def test_two_places_of_one_name(bench, printed):
    async with bench.peer().serve():
        await bench.deploy()
        first = next(iter(bench.chain.rows))
        row = bench.chain.rows.pop(first)
        async with bench.peer().serve():
            await bench.deploy()
            bench.chain.rows[first] = row
            await printed("status of two", "status", "hello")
            await printed("close two", "close", "hello")


async def test_money(bench, printed):
    async with bench.peer().serve():
        await bench.deploy()
    await printed("balance open", "balance")
    await printed("close unlocking", "close", "hello")
    await printed("close unlocking again", "close", "hello")
    await printed("balance unlocking", "balance")
    bench.chain.pass_time(61)
    await printed("close", "close", "hello")
    await printed("balance closed", "balance")
    bench.chain.broken = True
    await printed("balance broken", "balance")


async def test_providers_and_evidence(bench, printed, draft):
    saved = bench.folder / "evidence.json"
    async with bench.peer().serve() as peer:
        await printed("provider list", "provider", "list")
        await printed("provider list --attest", "provider", "list", "--attest")
        policy = await draft(peer)
        await printed("attest", "attest", peer.owner, "--save", saved)
        await printed("attest --print-policy", "attest", peer.owner, "--print-policy")
        await printed("attest FILE", "attest", saved, "--policy", policy)
        await printed("attest FILE without policy", "attest", saved)
        peer.faults.add("forged-report")
        await printed("attest refused", "attest", peer.owner)
        await printed("provider list refused", "provider", "list", "--attest")


async def test_rounds_of_watch(bench, printed):
    flags = ("--once", "--wait", "0s")
    async with bench.peer().serve() as peer:
        await printed("watch nothing", "watch", *flags)
        await bench.deploy()
        await printed("watch", "watch", *flags)
        peer.runway = 60
        await printed("watch low", "watch", *flags)
        await printed("watch topping up", "watch", *flags, "--top-up-below", "2h", "--max-per-day", "5")
        peer.usage = UsageReport(leaves=[], open_usage=[10**12, 0, 0, 0, 0])
        await printed("watch violated", "watch", *flags, "--unlock-on-violation")
        peer.faults.add("forged-report")
        await printed("watch refused", "watch", *flags)
    bench.chain.broken = True
    await printed("watch broken", "watch", *flags)
