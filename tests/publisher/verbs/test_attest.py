# SPDX-License-Identifier: Apache-2.0
"""`attest`: a provider or a file against a policy; exit codes, the failed check, drafts."""

import hashlib
import json
import tomllib
from dataclasses import replace

import pytest
from click.testing import CliRunner

from tests.publisher.test_cli import cli, loaded_modules
from trustedpods.publisher.cli import main

__all__ = ["cli"]


@pytest.fixture
def draft(bench, cli):
    """Write the policy that a provider's evidence drafts, and give its path."""

    async def write(peer, name="policy.toml"):
        printed = await cli("attest", f"{peer.owner}/0", "--print-policy")
        assert printed.exit_code == 0, printed.output
        path = bench.folder / name
        path.write_text(printed.stdout)
        return path

    return write


async def test_a_provider_by_the_markets_own_policy(bench, cli):
    async with bench.peer().serve() as peer:
        result = await cli("attest", f"{peer.owner}/0")
    assert result.exit_code == 0, result.output
    assert f"{peer.owner}/0: sealed, SIMULATED" in result.stdout
    assert "SIMULATED AMD SEV-SNP (Milan)" in result.stdout
    assert "report-data" in result.stdout


async def test_json_has_the_verdict(bench, cli):
    async with bench.peer().serve() as peer:
        result = await cli("attest", peer.owner, "-o", "json")
    verdict = json.loads(result.stdout)["verdict"]
    assert (verdict["class"], verdict["simulated"], verdict["entry"]) == ("sealed", True, "simulated")
    assert len(verdict["chip_id"]) == 128
    assert verdict["policy"] == "built-in"


async def test_an_open_provider_is_called_open(bench, cli):
    async with bench.peer(trust="open").serve() as peer:
        result = await cli("attest", peer.owner)
    assert result.exit_code == 0, result.output
    assert "OPEN (its operator can read the pod)" in result.stdout


async def test_a_draft_accepts_its_provider_and_no_other_market(bench, cli, draft):
    async with bench.peer().serve() as peer:
        path = await draft(peer)
        result = await cli("attest", peer.owner, "--policy", path)
        assert result.exit_code == 0, result.output
        assert f"policy    {path}" in result.stdout
        path.write_text(path.read_text().replace("chain_id = ", "chain_id = 1"))
        result = await cli("attest", peer.owner, "--policy", path, "-o", "json")
    assert result.exit_code == 9
    assert json.loads(result.stdout)["error"]["rule"] == "simulated"


async def test_a_draft_says_what_a_human_must_do(bench, cli):
    async with bench.peer().serve() as peer:
        printed = await cli("attest", peer.owner, "--print-policy", "-o", "json")
    text = json.loads(printed.stdout)["policy_draft"]
    assert text.startswith("# DRAFT")
    assert "CONFIRM" in text
    assert tomllib.loads(text)["accept"] == ["simulated"]


async def test_a_policy_by_its_name(bench, cli, draft, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(bench.folder / "config"))
    folder = bench.folder / "config" / "trustedpods" / "policies"
    folder.mkdir(parents=True)
    async with bench.peer().serve() as peer:
        (folder / "ours.toml").write_text((await draft(peer)).read_text())
        assert (await cli("attest", peer.owner, "--policy", "ours")).exit_code == 0
        missing = await cli("attest", peer.owner, "--policy", "theirs")
    assert missing.exit_code == 4
    assert "theirs.toml does not exist" in missing.stderr


async def test_a_wrong_policy_names_its_line(bench, cli, draft):
    async with bench.peer().serve() as peer:
        path = await draft(peer)
        path.write_text(path.read_text() + "surprise = 1\n")
        result = await cli("attest", peer.owner, "--policy", path)
    assert result.exit_code == 2
    assert f"{path}:{path.read_text().count(chr(10))}: simulated.1.surprise: unknown field" in result.stderr


@pytest.mark.parametrize(
    ("fault", "rule"),
    [("forged-report", "signature"), ("stale-nonce", "nonce"), ("other-peer-attested", "peer-id")],
)
async def test_refused_evidence_is_code_9_and_kept_for_inspection(bench, cli, fault, rule):
    kept = bench.folder / "evidence.json"
    async with bench.peer(fault).serve() as peer:
        result = await cli("attest", peer.owner, "--save", kept, "-o", "json")
    assert result.exit_code == 9
    assert json.loads(result.stdout)["error"]["rule"] == rule
    assert kept.exists()


async def test_the_chip_of_the_row_if_it_names_one(bench, cli):
    async with bench.peer().serve() as peer:
        verdict = json.loads((await cli("attest", peer.owner, "-o", "json")).stdout)["verdict"]
        digest = hashlib.sha256(bytes.fromhex(verdict["chip_id"])).digest()
        where = peer.owner, peer.daemon
        bench.chain.rows[where] = replace(peer.row, chip_digest=digest)
        assert (await cli("attest", peer.owner)).exit_code == 0
        bench.chain.rows[where] = replace(peer.row, chip_digest=bytes(31) + b"\1")
        result = await cli("attest", peer.owner, "-o", "json")
        listed = await cli("provider", "list", "--attest", "-o", "json")
    assert result.exit_code == 9
    assert json.loads(result.stdout)["error"]["rule"] == "chip-digest"
    assert json.loads(listed.stdout)["providers"][0]["error"]["rule"] == "chip-digest"


class TestFiles:
    @pytest.fixture
    async def kept(self, bench, cli, draft):
        """(evidence, policy) of a provider that is gone again."""
        path = bench.folder / "evidence.json"
        async with bench.peer().serve() as peer:
            result = await cli("attest", peer.owner, "--save", path)
            assert f"saved     {path}" in result.stdout
            return path, await draft(peer)

    async def test_a_file_is_judged_without_a_provider(self, cli, kept):
        path, policy = kept
        result = await cli("attest", path, "--policy", policy)
        assert result.exit_code == 0, result.output
        assert "sealed, SIMULATED" in result.stdout
        assert "not of now" in result.stderr

    async def test_a_file_needs_a_policy(self, cli, kept):
        result = await cli("attest", kept[0])
        assert result.exit_code == 2
        assert "--policy" in result.stderr

    async def test_a_file_gives_a_draft(self, cli, kept):
        result = await cli("attest", kept[0], "--print-policy")
        assert tomllib.loads(result.stdout)["simulated"]

    async def test_time_is_a_parameter(self, cli, kept):
        path, policy = kept
        result = await cli("attest", path, "--policy", policy, "--at", "2050-01-01T00:00:00Z", "-o", "json")
        assert result.exit_code == 9
        assert json.loads(result.stdout)["error"]["rule"] == "validity"

    async def test_simulated_evidence_counts_nowhere_without_its_market(self, cli, kept, monkeypatch):
        monkeypatch.delenv("TRUSTEDPODS_MARKET")
        result = await cli("attest", *kept[:1], "--policy", kept[1], "-o", "json")
        assert result.exit_code == 9
        assert json.loads(result.stdout)["error"]["rule"] == "simulated"

    async def test_a_changed_file_is_refused(self, cli, kept):
        path, policy = kept
        tree = json.loads(path.read_text())
        path.write_text(json.dumps(tree | {"nonce": "00" * 32}))
        assert (await cli("attest", path, "--policy", policy)).exit_code == 9

    @pytest.mark.parametrize(
        ("arguments", "what"),
        [
            (["absent.json", "--policy", "p.toml"], "p.toml"),
            (["absent.json", "--print-policy"], "absent.json: cannot read the evidence"),
            (["{kept}", "--policy", "{policy}", "--save", "x"], "--save"),
            (["{kept}", "--policy", "{policy}", "--market", "absent"], "absent"),
            (["0x12"], "address"),
            (["0x" + "0a" * 20 + "/1", "--at", "2050-01-01T00:00:00Z"], "--at"),
            (["0x" + "0a" * 20], "0 providers"),
        ],
    )
    async def test_mistakes_are_named(self, cli, kept, arguments, what):
        arguments = [part.format(kept=kept[0], policy=kept[1]) for part in arguments]
        result = await cli("attest", *arguments)
        assert result.exit_code in (2, 4, 6)
        assert what in result.stderr
        assert "Traceback" not in result.output

    async def test_a_place_where_nothing_can_be_written(self, bench, cli):
        async with bench.peer().serve() as peer:
            result = await cli("attest", peer.owner, "--save", bench.folder / "no" / "where.json")
        assert result.exit_code == 2
        assert "cannot write" in result.stderr


def test_help_is_instant():
    heavy = {"web3", "libp2p", "cryptography", "dcap_qvl", "pydantic", "trio"}
    assert not heavy & loaded_modules("attest", "--help")


def test_help_has_examples():
    result = CliRunner().invoke(main, ["attest", "--help"])
    assert result.exit_code == 0
    assert "trustedpods attest evidence.json" in result.output
    assert "--output" in result.output
