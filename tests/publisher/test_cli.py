# SPDX-License-Identifier: Apache-2.0
"""The command line: exit codes, one clear line per error, JSON, and nothing hostile on the terminal."""

import json
import subprocess
import sys

import pytest
import trio
from click.testing import CliRunner

from tests.publisher.output.answers.held import hold
from trustedpods.protocol.errors import ExitCode
from trustedpods.publisher.cli import OTHER_WORDS, VERBS, main

PODS = [
    "deploy",
    "init",
    "convert",
    "explain",
    "schema",
    "validate",
    "list",
    "estimate",
    "status",
    "logs",
    "exec",
    "events",
    "usage",
    "top",
    "restart",
    "stop",
    "start",
    "rollback",
    "backup",
    "restore",
    "delete",
]
MONEY = ["fund", "close", "withdraw", "balance", "bill"]


@pytest.fixture
def cli(bench, monkeypatch):
    """Run the command against the market in memory; providers serve in the test's own trio."""
    market = bench.account.market.file
    path = bench.folder / "market.toml"
    path.write_text(
        f'rpc = "{market.rpc}"\nchain_id = {market.chain_id}\npayments = "{market.payments}"\n'
        f'registry = "{market.registry}"\ntoken = "{market.token}"\nfinality_blocks = 0\n'
        f'[simulated]\nroot = """{market.simulated_root}"""\n'
    )
    key = bench.folder / "key"
    key.write_text(bench.key.hex())
    key.chmod(0o600)
    monkeypatch.setenv("TRUSTEDPODS_MARKET", str(path))
    monkeypatch.setenv("TRUSTEDPODS_KEY", str(key))
    monkeypatch.setattr("trustedpods.publisher.market.market.Chain", lambda *_, **__: bench.chain)

    async def run(*arguments, typed=None):
        words, timing = [str(a) for a in arguments], bench.account.timing
        done = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, words, typed, obj=timing))
        hold(words, done.stdout)
        return done

    return run


@pytest.mark.parametrize("verb", [*PODS, *MONEY, "provider list", "completion", "help", "version"])
def test_every_verb_has_help_with_an_example(verb):
    result = CliRunner().invoke(main, [*verb.split(), "--help"])
    assert result.exit_code == 0
    assert f"trustedpods {verb}" in result.output
    assert ("--output" in result.output) == (verb not in {"exec", "completion", "help"})


def loaded_modules(*arguments):
    """Top-level modules that a run of the command imports."""
    code = f"import sys\nsys.argv = ['trustedpods', *{list(arguments)!r}]\n" + (
        "from trustedpods.publisher.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    code = end.code\n"
        "print('\\n' + ' '.join({name.split('.')[0] for name in sys.modules}), code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    *names, code = done.stdout.splitlines()[-1].split()
    assert code in ("0", "None"), done.stderr
    return set(names)


def test_help_is_instant():
    heavy = {"web3", "libp2p", "kubernetes", "eth_account", "pydantic", "trio", "rich", "cryptography"}
    assert not heavy & loaded_modules("--help")


@pytest.mark.parametrize("form", ["text", "json"])
def test_validate_talks_to_nobody_and_loads_nothing_for_it(bench, form):
    heavy = {"web3", "libp2p", "kubernetes", "eth_account", "eth_keys", "murky_tree", "trio", "rich"}
    assert not heavy & loaded_modules("validate", str(bench.folder / "pod.yaml"), "-o", form)


async def test_deploy_prints_the_url_and_json(bench, cli):
    async with bench.peer().serve():
        plain = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h")
        assert plain.exit_code == 0, plain.output
        assert plain.stdout == "http://pabc.k1.test.localhost:18080/\n"
        assert "SIMULATED" in plain.stderr
        again = await cli("deploy", bench.folder / "pod.yaml", "-o", "json")
    tree = json.loads(again.stdout)
    assert tree["endpoints"][0]["url"] == "http://pabc.k1.test.localhost:18080/"
    assert {step["name"] for step in tree["steps"]} >= {
        "start",
        "manifest",
        "list",
        "select",
        "channel",
        "send",
    }


async def test_an_explanation(bench, cli):
    async with bench.peer().serve(), bench.peer(trust="open").serve() as other:
        result = await cli("deploy", bench.folder / "pod.yaml", "--explain")
    assert f"{other.owner}/0: left out: class open" in result.stderr


async def test_status_shows_no_control_characters(bench, cli):
    async with bench.peer().serve():
        await bench.deploy()
        result = await cli("status", "hello")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    assert "Started: evil" in result.stdout
    assert "SIMULATED" in result.stdout


async def test_refused_evidence_is_code_9(bench, cli):
    async with bench.peer("forged-report").serve():
        result = await cli("deploy", bench.folder / "pod.yaml", "-o", "json")
    assert result.exit_code == 9
    assert "[signature]" in result.stderr
    assert json.loads(result.stdout)["error"]["rule"] == "signature"


async def test_the_other_verbs(bench, cli):
    async with bench.peer().serve() as peer:
        assert (await cli("deploy", bench.folder / "pod.yaml")).exit_code == 0
        assert (await cli("logs", "hello")).exit_code == 0
        assert "hello" in (await cli("balance")).stdout
        assert "paid 1 TPT" in (await cli("fund", "hello", "1")).stdout
        assert (await cli("fund", "hello", "1h", "--manifest", bench.folder / "pod.yaml")).exit_code == 0
        assert "total    0 TPT" in (await cli("bill", "hello")).stdout
        listed = await cli("provider", "list", "--attest")
        assert f"{peer.owner}/0  sealed" in listed.stdout
        assert "SIMULATED AMD SEV-SNP" in listed.stdout
        assert (await cli("delete", "hello")).stdout == "hello is removed\n"
        assert "gone already" in (await cli("close", "hello")).stdout


async def test_a_chain_that_does_not_answer_is_code_8(bench, cli):
    bench.chain.broken = True
    result = await cli("balance")
    assert result.exit_code == 8
    assert result.stderr.startswith("error: ")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["validate", "absent.yaml"], 2),
        (["deploy", "pod.yaml", "--deposit", "lots"], 2),
        (["deploy", "pod.yaml", "--name", "Not_A_Name"], 2),
        (["deploy", "pod.yaml", "--provider", "0x12"], 2),
        (["deploy", "pod.yaml", "--trust", "sealed"], 2),
        (["status", "--market", "absent.toml", "hello"], 4),
        (["status", "--key", "absent", "hello"], 4),
        (["status", "No Name"], 2),
        (["frobnicate"], 2),
    ],
)
async def test_bad_input_is_one_line(bench, cli, monkeypatch, arguments, code):
    monkeypatch.chdir(bench.folder)
    result = await cli(*arguments)
    assert result.exit_code == code, result.output
    assert bench.chain.log == []
    assert "Traceback" not in result.output


async def test_a_root_image_is_refused_by_validate(bench, cli):
    bench.write_image(user="")
    result = await cli("validate", bench.folder / "pod.yaml")
    assert result.exit_code == 2
    assert "spec.containers[0].image" in result.stderr
    assert "USER 10001" in result.stderr


async def test_a_network_is_validated_with_its_nodes(bench, cli):
    head = "apiVersion: trustedpods/v1\nkind: Network\nmetadata: {name: shop}\nspec:\n"
    file = bench.folder / "network.yaml"
    file.write_text(f"{head}  nodes: [{{name: a, pod: pod.yaml, cluster: k1}}]\n")
    text = await cli("validate", file)
    assert text.stdout == f"{file}: network shop of 1 nodes is sound\n"
    shown = json.loads((await cli("validate", file, "-o", "json")).stdout)
    assert (shown["nodes"]["a"]["cluster"], shown["nodes"]["a"]["pod"]) == ("k1", "hello")
    bench.write_image(user="")
    result = await cli("validate", file)
    assert result.exit_code == 2
    assert f"{bench.folder}/pod.yaml:8 spec.containers[0].image" in result.stderr


async def test_a_bug_is_code_1_and_says_so(bench, cli, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("trustedpods.publisher.context.load_market", broken)
    result = await cli("balance")
    assert result.exit_code == 1
    assert "this is a bug" in result.stderr


async def test_ctrl_c_is_130(bench, cli, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr("trustedpods.publisher.context.load_market", interrupted)
    result = await cli("balance")
    assert result.exit_code == 130
    assert result.stderr == "interrupted\n"


@pytest.mark.parametrize(
    ("said", "meant"), [("ps", "list"), ("ls", "list"), ("statsu", "status"), ("rm", "delete")]
)
def test_a_verb_that_is_called_otherwise_elsewhere_is_named(said, meant):
    result = CliRunner().invoke(main, [said], prog_name="trustedpods")
    assert result.exit_code == 2
    assert f"no verb {said!r}; did you mean `trustedpods {meant}`?" in result.output


@pytest.mark.parametrize(
    "words",
    [
        ["--market", "absent.toml", "balance"],
        ["--market=absent.toml", "-o", "json", "provider", "list"],
        ["-o", "json", "--market", "absent.toml", "exec", "web", "--", "sh", "--market", "other.toml"],
    ],
)
def test_options_of_a_verb_may_stand_before_it(words):
    if "exec" in words:
        words = words[2:]  # its output is the command's own
    result = CliRunner().invoke(main, words, prog_name="trustedpods")
    assert "absent.toml" in result.output
    assert "other.toml" not in result.output
    assert result.exit_code % 240 == ExitCode.NO_CONTEXT


def test_one_that_the_verb_lacks_is_refused_by_the_verb():
    result = CliRunner().invoke(main, ["-o", "json", "completion", "bash"], prog_name="trustedpods")
    assert result.exit_code == 2
    assert "hint: `trustedpods completion --help`" in result.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["frobnicate"], "error: No such command 'frobnicate'\nhint: `trustedpods --help` "),
        (["fund", "web"], "error: Missing argument 'AMOUNT'\nhint: `trustedpods fund --help` "),
        (["exec"], "error: Missing argument 'NAME'\nhint: `trustedpods exec --help` "),
        (["network", "status"], "error: Missing argument "),
        (["--bogus", "list"], "error: No such option '--bogus'\nhint: `trustedpods --help` "),
    ],
)
def test_wrong_words_are_told_like_every_error(words, told):
    result = CliRunner().invoke(main, words, prog_name="trustedpods")
    assert result.stderr.startswith(told)
    assert result.exit_code % 240 == 2
    assert "Usage:" not in result.output


def test_a_word_that_is_like_no_verb_is_no_verb():
    result = CliRunner().invoke(main, ["quux"])
    assert (result.exit_code, "did you mean" in result.output) == (2, False)


def test_every_other_word_leads_to_a_verb():
    assert set(OTHER_WORDS.values()) <= set(VERBS)
    assert not set(OTHER_WORDS) & set(VERBS)


async def test_an_error_without_a_hint_of_its_own_ends_with_what_its_rule_says(bench, cli):
    async with bench.peer("full").serve():
        result = await cli("deploy", bench.folder / "pod.yaml")
    assert result.exit_code == 6
    assert "[capacity-cpu]" in result.stderr
    assert "hint: ask for less, or choose another provider" in result.stderr.splitlines()[-1]


async def test_status_check_ends_with_a_code_and_shows_the_same(bench, cli):
    async with bench.peer().serve() as peer:
        await bench.deploy()
        for phase, runway, code in (("serving", None, 0), ("serving", 60, 7), ("failing", None, 12)):
            peer.phase, peer.runway = phase, runway
            assert (await cli("status", "hello", "--check")).exit_code == code
            assert (await cli("status", "hello")).exit_code == 0
        peer.phase, peer.runway = "serving", 3600
        checked = await cli("status", "hello", "--check")
    assert checked.exit_code == 0
    assert checked.stdout.startswith("hello  serving\n")
    assert (await cli("status", "nobody", "--check")).exit_code == 6
