# SPDX-License-Identifier: Apache-2.0
"""`watch` on the command line, policies by name, and class open where no localnet vouches."""

import json
from dataclasses import replace

import pytest

from tests.publisher.test_cli import cli
from tests.publisher.verbs.test_attest import draft

__all__ = ["cli", "draft"]

OPEN = "OPEN (its operator can read the pod)"


def named(bench, monkeypatch, text, name="ours"):
    """Keep a policy under a name, as a user does."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(bench.folder / "config"))
    folder = bench.folder / "config" / "trustedpods" / "policies"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(text)


def naming(bench, policy):
    """The manifest with `policy: NAME`."""
    file = bench.folder / "pod.yaml"
    file.write_text(file.read_text().replace("spec:\n", f"spec:\n  policy: {policy}\n"))


def in_a_real_market(bench):
    """The same market without a root of simulated hardware, as every market but a localnet's."""
    market = bench.account.market
    bench.account = replace(
        bench.account, market=replace(market, file=replace(market.file, simulated_root=None))
    )
    path = bench.folder / "market.toml"
    path.write_text(path.read_text().partition("[simulated]")[0])


async def watch_once(cli, *flags):
    result = await cli("watch", "--once", "--wait", "0s", "-o", "json", *flags)
    return result.exit_code, json.loads(result.stdout)


async def test_a_round(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        code, tree = await watch_once(cli)
        text = await cli("watch", "hello", "--once")
    assert (code, tree["exit"]) == (0, 0)
    (pod,) = tree["pods"]
    assert (pod["pod"], pod["state"], pod["class"], pod["phase"]) == ("hello", "ok", "sealed", "serving")
    assert pod["provider"] == f"{peer.owner}/0"
    assert pod["attested"]["label"] == "built-in"
    assert "hello  ok" in text.stderr
    assert "SIMULATED" in text.stderr


async def test_nothing_to_watch(cli):
    result = await cli("watch", "--once")
    assert (result.exit_code, result.stdout) == (0, "no pod was deployed from here\n")
    assert (await cli("watch", "nobody", "--once")).exit_code == 6


async def test_exit_codes_of_a_round(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway = 60
        assert (await watch_once(cli))[0] == 7
        peer.faults.add("forged-report")
        code, tree = await watch_once(cli)
        assert code == 9
        assert tree["pods"][0]["error"]["rule"] == "signature"
        assert tree["pods"][0]["attested"]["refused"]
        status = await cli("status", "hello")
        assert status.exit_code == 9
        assert "it verified last at" in status.stderr
    assert (await watch_once(cli))[0] == 8
    bench.chain.broken = True
    assert (await watch_once(cli))[0] == 8


async def test_a_top_up_from_the_command_line(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.runway = 60
        code, tree = await watch_once(cli, "--top-up-below", "2h", "--max-per-day", "5")
    assert code == 0
    assert tree["pods"][0]["actions"][0].startswith("paid ")


async def test_that_no_payer_is_asked_is_said_where_one_is_named(cli, monkeypatch):
    monkeypatch.setenv("TRUSTEDPODS_PAYER", "safe:0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
    payer = "asks no payer: it pays from what the key's address has"
    assert payer not in (await cli("watch", "--once")).stderr
    paying = await cli("watch", "--once", "--top-up-below", "2h", "--max-per-day", "5")
    assert f"watch {payer}" in paying.stderr
    fund = await cli(
        "network", "fund", "shop", "1h", "--cluster", "k1=0x70997970C51812dc3A010C7d01b50e0d17dc79C8/1"
    )
    assert f"network fund {payer}" in fund.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ("--top-up-below", "2h"),
        ("--max-per-day", "1"),
        ("--interval", "soon"),
        ("--top-up-below", "2h", "--max-per-day", "2h"),
        ("UPPER",),
    ],
)
async def test_wrong_flags(cli, flags):
    assert (await cli("watch", "--once", *flags)).exit_code == 2


async def test_status_shows_the_last_attestation(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        shown = await cli("status", "hello")
    assert "attested  20" in shown.stdout
    assert "against built-in" in shown.stdout


# ---- policies by name ------------------------------------------------------------------------


async def test_the_manifests_policy_holds_at_deploy_and_ever_after(bench, cli, draft, monkeypatch):
    async with bench.peer().serve() as peer:
        text = (await draft(peer)).read_text()
        named(bench, monkeypatch, text)
        naming(bench, "ours")
        assert (await cli("deploy", bench.folder / "pod.yaml")).exit_code == 0
        code, tree = await watch_once(cli)
        assert code == 0
        assert tree["pods"][0]["attested"]["policy"] == "ours"
        assert "ours.toml (" in tree["pods"][0]["attested"]["label"]  # with its digest
        named(bench, monkeypatch, text.replace('["sealed"]', '["open"]'))
        assert (await watch_once(cli))[0] == 6
        assert (await cli("status", "hello")).exit_code == 6


async def test_a_policy_that_lists_other_markets(bench, cli, draft, monkeypatch):
    async with bench.peer().serve() as peer:
        text = (await draft(peer)).read_text()
        payments = bench.chain.market.payments
        assert payments in text
        named(bench, monkeypatch, text.replace(payments, peer.owner))
        result = await cli("deploy", bench.folder / "pod.yaml", "--policy", "ours")
        assert result.exit_code == 9
        assert peer.log == ["attest", "attest"]  # one for the draft, and nothing else was sent


async def test_a_policy_that_nobody_keeps(bench, cli):
    naming(bench, "nobodys")
    async with bench.peer().serve() as peer:
        result = await cli("deploy", bench.folder / "pod.yaml")
        assert result.exit_code == 4
        assert peer.log == []


async def test_a_policy_file_of_the_command_line_is_found_again(bench, cli, draft, monkeypatch):
    async with bench.peer().serve() as peer:
        path = await draft(peer, "mine.toml")
        monkeypatch.chdir(bench.folder)
        assert (await cli("deploy", "pod.yaml", "--policy", "mine.toml")).exit_code == 0
        monkeypatch.chdir("/")
        code, tree = await watch_once(cli)
        assert code == 0
        assert tree["pods"][0]["attested"]["policy"] == str(path)
        assert (await watch_once(cli, "--policy", "/nowhere.toml"))[0] == 2


# ---- class open ------------------------------------------------------------------------------


async def test_outside_a_localnet_a_sealed_pod_goes_nowhere(bench, cli):
    in_a_real_market(bench)
    async with bench.peer(trust="open").serve() as peer:
        result = await cli("deploy", bench.folder / "pod.yaml")
        assert (result.exit_code, peer.log) == (6, [])
        assert "--trust open" in result.stderr


async def test_outside_a_localnet_open_is_a_choice_and_everything_says_so(bench, cli):
    in_a_real_market(bench)
    async with bench.peer(trust="open").serve() as peer:
        deployed = await cli("deploy", bench.folder / "pod.yaml", "--trust", "open")
        assert deployed.exit_code == 0, deployed.output
        assert OPEN in deployed.stderr
        assert "OPEN" in (await cli("status", "hello")).stdout
        assert OPEN in (await cli("watch", "--once")).stderr
        assert "OPEN" in (await cli("provider", "list")).stdout
        assert "OPEN" in (await cli("attest", f"{peer.owner}/0")).stdout
        _, tree = await watch_once(cli)
        assert tree["pods"][0]["class"] == "open"
        tree = json.loads((await cli("status", "hello", "-o", "json")).stdout)
        assert tree["trust"]["class"] == "open"


async def test_trust_open_in_the_manifest_is_a_choice_too(bench, cli):
    in_a_real_market(bench)
    file = bench.folder / "pod.yaml"
    file.write_text(file.read_text().replace("spec:\n", "spec:\n  trust: open\n"))
    async with bench.peer(trust="open").serve():
        result = await cli("deploy", file)
        assert result.exit_code == 0
        assert OPEN in result.stderr
