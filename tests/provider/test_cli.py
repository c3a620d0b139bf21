# SPDX-License-Identifier: Apache-2.0
"""The operator's command line: what it imports, and how it fails."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.admin.views import (
    Claimed,
    ClaimRequest,
    DrainRequest,
    Evicted,
    EvictedPod,
    EvictRequest,
    PodList,
    PodRow,
    PodsRequest,
)
from trustedpods.provider.cli import main
from trustedpods.provider.commands import output as printing
from trustedpods.provider.commands.output import PLAIN_WIDTH
from trustedpods.provider.commands.serve import LineFormatter
from trustedpods.provider.core.pod import Phase

HEAVY = ("libp2p", "web3", "kubernetes", "eth_account", "sqlalchemy", "pydantic")
CHANNEL = "ab" * 24
ROW = PodRow(
    label="pabc",
    channel=CHANNEL,
    namespace="tp-pabc-1",
    phase=Phase.SERVING,
    scale=None,
    replicas=0,
    ready=0,
    services={},
    left=None,
    claimed="0",
    runway_seconds=None,
    why=None,
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "provider.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))
    return path


def test_help_imports_nothing_heavy() -> None:
    program = f"""
import sys
from trustedpods.provider.cli import main
try: main(["--help"])
except SystemExit: pass
print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "serve" in done.stdout
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize("verb", ["pods", "claim"])
def test_without_a_daemon_it_says_so(config: Path, verb: str) -> None:
    result = CliRunner().invoke(main, [verb, "--config", str(config)])
    assert result.exit_code == ExitCode.NO_CONTEXT
    assert "the daemon does not answer" in result.stderr
    assert "hint:" in result.stderr


def test_a_bad_configuration_is_named_with_its_key(config: Path) -> None:
    config.write_text(config.read_text().replace("daemon = 1", "daemon = -1"))
    result = CliRunner().invoke(main, ["pods", "--config", str(config)])
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "provider.toml: identity.daemon" in result.stderr


def test_the_facades_files_are_made_from_the_settings(config: Path, tmp_path: Path) -> None:
    text = config.read_text().replace("/run/f/", f"{tmp_path}/f/")
    config.write_text(text.replace("[facade]\n", "[facade]\nheader_s = 3\nsource_connections = 77\n"))
    result = CliRunner().invoke(main, ["facade-files", "--config", str(config)])
    assert (result.exit_code, result.output) == (0, f"{tmp_path}/f/haproxy.cfg\n")
    made = (tmp_path / "f" / "haproxy.cfg").read_text()
    assert "timeout http-request 3s\n" in made
    assert "reject if { sc0_conn_cur gt 77 }" in made
    assert (tmp_path / "f" / "pages" / "body_limit.lua").exists()


def test_preparing_and_paying_out_exclude_each_other(config: Path) -> None:
    result = CliRunner().invoke(main, ["claim", "--prepare", "--withdraw", "--config", str(config)])
    assert result.exit_code == ExitCode.BAD_INPUT


async def test_a_table_in_a_pipe_is_not_folded(config: Path, tmp_path: Path, nursery: trio.Nursery) -> None:
    async def pods(_request: PodsRequest) -> PodList:
        return PodList(pods=[ROW])

    await nursery.start(serve_admin, tmp_path / "operator.sock", {"pods": verb_for(PodsRequest, pods)})
    for output, whole in (("text", CHANNEL), ("json", f'"{CHANNEL}"')):
        command = ["pods", "--config", str(config), "-o", output]
        result = await trio.to_thread.run_sync(lambda words=command: CliRunner().invoke(main, words))
        assert result.exit_code == 0, result.output
        assert whole in result.stdout
        assert max(map(len, result.stdout.splitlines())) <= PLAIN_WIDTH
    assert json.loads(result.stdout)[0]["channel"] == CHANNEL


async def told(config: Path, *words: str) -> str:
    """What a verb prints, asked in a thread so that the daemon of the test can answer."""
    command = [words[0], "--config", str(config), *words[1:]]
    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, command))
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_a_claim_is_printed_as_the_daemon_told_it(
    config: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    async def claim(request: ClaimRequest) -> Claimed:
        assert (request.prepare, request.withdraw) == (False, True)
        return Claimed(items=2, root=b"\1" * 32, transaction=None, withdrawn="7")

    await nursery.start(serve_admin, tmp_path / "operator.sock", {"claim": verb_for(ClaimRequest, claim)})
    assert (await told(config, "claim", "--withdraw")).splitlines() == [
        "items: 2",
        f"root: {'01' * 32}",
        "transaction: -",
        "withdrawn: 7",
    ]
    assert json.loads(await told(config, "claim", "--withdraw", "-o", "json")) == {
        "items": 2,
        "root": "01" * 32,
        "transaction": None,
        "withdrawn": "7",
    }


async def test_options_arrive_in_the_daemons_question(
    config: Path, tmp_path: Path, nursery: trio.Nursery
) -> None:
    asked: list[EvictRequest | DrainRequest] = []

    async def evict(request: EvictRequest) -> Evicted:
        asked.append(request)
        return Evicted(pods=[EvictedPod(label="pabc", phase=Phase.GONE, settled=True)])

    async def drain(request: DrainRequest) -> Evicted:
        asked.append(request)
        return Evicted(pods=[])

    verbs = {"evict": verb_for(EvictRequest, evict), "drain": verb_for(DrainRequest, drain)}
    await nursery.start(serve_admin, tmp_path / "operator.sock", verbs)
    lines = (await told(config, "evict", "pabc", "--reason", "a notice", "--deny")).splitlines()
    assert [line.split() for line in lines] == [["label", "phase", "settled"], ["pabc", "gone", "True"]]
    assert (await told(config, "drain")) == "none\n"
    assert json.loads(await told(config, "drain", "--undo", "-o", "json")) == []
    assert asked == [
        EvictRequest(target="pabc", reason="a notice", deny=True),
        DrainRequest(reason="maintenance"),
        DrainRequest(reason="maintenance", undo=True),
    ]


async def test_a_reason_that_is_far_too_long_is_one_clear_message(config: Path) -> None:
    words = ["evict", "pabc", "--reason", "x" * 5000, "--config", str(config)]
    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, words))
    assert result.exit_code == ExitCode.BAD_INPUT
    assert result.stderr == "error: reason: String should have at most 2048 characters\n"


@pytest.mark.parametrize("text", ["a\nb", "\x1b[2J", "\u202e", "a\rb", "[bold]x[/]"])
def test_others_text_is_one_printable_line(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    printing.show({"why": text}, "text")
    printing.show_rows([{"why": text}], "text")
    said = capsys.readouterr().out
    assert all(line.isprintable() for line in said.split("\n"))
    assert said.count("\n") == 3
    record = logging.LogRecord("x", logging.WARNING, "", 0, "pod: %s", (text,), None)
    assert LineFormatter(logging.Formatter("%(message)s")).format(record).isprintable()


def test_a_setup_that_nobody_answers_says_what_is_missing(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    words = ["setup", "-c", str(tmp_path / "provider.toml"), "--user", "root"]
    bad = CliRunner().invoke(main, [*words, "--core-hour", "2,5"])
    assert bad.exit_code == ExitCode.BAD_INPUT
    assert "error: --core-hour: '2,5' will not do" in bad.stderr
    assert "hint: for example 2.5" in bad.stderr
    nowhere = CliRunner().invoke(main, [*words, "--kubeconfig", str(kubeconfig)])
    assert nowhere.exit_code == ExitCode.NO_CONTEXT
    assert str(kubeconfig) in nowhere.stderr
    nobody = CliRunner().invoke(main, [*words[:-1], "nobody-of-that-name"])
    assert nobody.exit_code == ExitCode.NO_CONTEXT
    assert "hint: useradd" in nobody.stderr
    assert list(tmp_path.iterdir()) == []
