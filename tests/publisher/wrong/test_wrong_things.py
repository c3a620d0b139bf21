# SPDX-License-Identifier: Apache-2.0
"""What users do wrong, or what goes wrong around them, as they see it: message, code, what to do, money.

Each is typed at the command, with the market in memory and providers on the real wire. No transaction is
sent, no token moves, no file of the user's changes, and the last word says what to do. `rows.toml` beside it
says where the rest of them is held, and for which of them money is paid and comes back.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from tests.contracts.client.test_node import a_node_that
from tests.publisher.conftest import Bench
from tests.publisher.test_cli import cli
from trustedpods.publisher.cli import main

__all__ = ["cli"]

DEPLOY = ("deploy", "pod.yaml", "--deposit", "1h")
HOURS_3 = 3 * 3600
CLOCK = "trustedpods.publisher.market.session.time"
"""Where the client reads this machine's clock for its requests."""


def manifest(old: str, new: str) -> Callable[[Bench], None]:
    """Another manifest than the sound one."""

    def change(bench: Bench) -> None:
        path = bench.folder / "pod.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def file(name: str, text: str | bytes, mode: int = 0o600) -> Callable[[Bench], None]:
    """A file of the user's."""

    def write(bench: Bench) -> None:
        path = bench.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)

    return write


def nothing(_: Bench) -> None:
    """All is as it should be here."""


def poor(bench: Bench) -> None:
    bench.chain.tokens[bench.address] = 3
    bench.chain.gas[bench.address] = 0


def folder(bench: Bench) -> None:
    (bench.folder / "a-folder").mkdir()


def without_secret(bench: Bench) -> None:
    (bench.folder / "password.txt").unlink()


SIX = """
apiVersion: trustedpods/v1
kind: Pod
metadata: {name: Not_A_Name}
spec:
  containers:
    - name: hello
      image: oci-archive:hello.tar
      port: [{containerPort: 8080}]
      resources: {limits: {cpu: lots}}
  services:
    - {name: web, expose: htp, ports: [{port: 80, targetport: 8080}]}
  scale: {min: 5, max: 2}
"""
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop}\nspec: {template: {}}\n"
COMPOSE = "services:\n  web: {image: nginx, ports: ['80:80']}\n"


@dataclass(frozen=True)
class Wrong:
    """What is set up, what providers do, what is typed; the exit code, and what the error says."""

    code: int
    says: tuple[str, ...]
    setup: Callable[[Bench], object] = nothing
    words: tuple[str, ...] = DEPLOY
    peers: tuple[tuple[str, ...], ...] = ((),)


WRONG = {
    "F1 neither tokens nor gas": Wrong(7, ("0.000003 TPT", "no coin of the chain", "docs/money.md"), poor),
    "F3 an image for another machine": Wrong(
        2,
        ("linux/amd64", "linux/arm64", "--platform linux/amd64"),
        lambda bench: bench.write_image(arch="arm64"),
    ),
    "F4b a service at a port that no container lists": Wrong(
        2,
        ("pod.yaml:15", "no container lists port 8081", "8080"),
        manifest("targetPort: 8080", "targetPort: 8081"),
    ),
    "F6 a secret's file is missing": Wrong(2, ("pod.yaml:13", "no such file: password.txt"), without_secret),
    "F8 more than anybody has": Wrong(
        6,
        (
            "cpu: 100m wanted, 0m free",
            "none of the 2 providers that were asked takes the pod",
            "[capacity-cpu]",
        ),
        peers=(("full",), ("full",)),
    ),
    "F10 a Deployment": Wrong(
        2, ("this is a Kubernetes Deployment",), file("other.yaml", DEPLOYMENT), ("deploy", "other.yaml")
    ),
    "F10 a Compose file": Wrong(2, ("convert",), file("compose.yaml", COMPOSE), ("deploy", "compose.yaml")),
    "F10b six mistakes at once": Wrong(
        2,
        (
            "Not_A_Name",
            "write `ports: [",
            "not a CPU quantity",
            "did you mean http?",
            "did you mean targetPort?",
            "min 5 is above max 2",
        ),
        file("pod.yaml", SIX),
    ),
    "F11 a key that is garbage": Wrong(
        2,
        (
            "neither a hex key nor a keystore",
            "a key file holds 64 hex digits",
        ),
        file("bad.key", "x" * 50),
        (*DEPLOY, "--key", "bad.key"),
    ),
    "F11 a key that is not there": Wrong(
        4, ("--key names absent.key, which is not a file",), words=(*DEPLOY, "--key", "absent.key")
    ),
    "F11 a folder for a key": Wrong(
        4, ("--key names a-folder, which is not a file",), folder, (*DEPLOY, "--key", "a-folder")
    ),
    "F14 a host that is taken": Wrong(
        6, ("belongs to another pod", "[host-taken]", "choose another in `hosts`"), peers=(("host-taken",),)
    ),
    "F15 no provider matches": Wrong(
        6,
        ("the registry lists no provider", "[no-provider]", "is the market file the right one?"),
        peers=(),
    ),
    "F16 a price above the limit": Wrong(
        6,
        ("its fewest replicas cost", "maxCostPerDay is 0.001", "raise it, or lower scale.min"),
        manifest("  services:", "  payment: {maxCostPerDay: '0.001'}\n  services:"),
    ),
    "F17 evidence is refused": Wrong(9, ("[signature]",), peers=(("forged-report",),)),
    "F+ no amount": Wrong(
        2, ("neither an amount nor a duration", "12h"), words=("deploy", "pod.yaml", "--deposit", "1x")
    ),
    "F+ a pod that never was": Wrong(6, ("no pod 'x'", "`trustedpods"), words=("status", "x")),
    "F+ deleting one": Wrong(6, ("no pod 'x'", "`trustedpods"), words=("delete", "x", "--yes")),
    "F+ a market that is not there": Wrong(
        4,
        ("--market names nowhere.toml, which is not a file",),
        words=("balance", "--market", "nowhere.toml"),
    ),
}


def told(stderr: str) -> str:
    """The error and what stands below it."""
    return stderr[stderr.index("error: ") :]


def says_what_to_do(stderr: str) -> bool:
    """By a hint of its own line, or within the line of a file or flag that is to be mended."""
    text = told(stderr)
    return any(word in text for word in ("\nhint: ", "; ", "(there is: ", "write `"))


@pytest.mark.parametrize("what", WRONG)
async def test_it_is_said_with_what_to_do_and_nothing_is_paid_or_lost(bench, cli, monkeypatch, what):
    row = WRONG[what]
    row.setup(bench)
    monkeypatch.chdir(bench.folder)
    bench.wait(select_s=5.0)
    tokens, chain = dict(bench.chain.tokens), list(bench.chain.log)
    files = {path: path.read_bytes() for path in bench.folder.iterdir() if path.is_file()}
    if row.peers:
        first, *others = row.peers
        async with bench.peer(*first).serve():
            if others:
                async with bench.peer(*others[0], cpu_price=9000).serve():
                    done = await cli(*row.words)
            else:
                done = await cli(*row.words)
            machine = await cli(*row.words, "-o", "json")
    else:
        done, machine = await cli(*row.words), await cli(*row.words, "-o", "json")
    assert done.exit_code == row.code, done.output
    for part in row.says:
        assert part in told(done.stderr)
    assert says_what_to_do(done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert (machine.exit_code, json.loads(machine.stdout)["error"]["exit"]) == (row.code, row.code)
    assert (bench.chain.tokens, bench.chain.log) == (tokens, chain), "no transaction, no token"
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize(
    ("seconds", "rule"), [(-HOURS_3, "expired"), (HOURS_3, "expiry-too-far")], ids=["behind", "ahead"]
)
async def test_f9_a_clock_that_is_hours_wrong(bench, cli, monkeypatch, seconds, rule):
    """The first request already is refused: it is asked before anything is paid."""
    wrong = SimpleNamespace(
        time=lambda: time.time() + seconds, time_ns=lambda: time.time_ns() + seconds * 10**9
    )
    path = bench.folder / "pod.yaml"
    tokens = dict(bench.chain.tokens)
    async with bench.peer().serve():
        monkeypatch.setattr(CLOCK, wrong)
        done = await cli("deploy", path, "--deposit", "1h")
        assert done.exit_code == 6, done.output
        assert f"[{rule}]" in told(done.stderr)
        assert "hint: look at this machine's clock, then run it again" in done.stderr
        assert (bench.chain.tokens, bench.chain.log) == (tokens, [])
        monkeypatch.setattr(CLOCK, time)
        assert (await cli("deploy", path, "--deposit", "1h")).exit_code == 0, "nothing of it is left behind"
        monkeypatch.setattr(CLOCK, wrong)
        for verb in (("status", "hello"), ("stop", "hello"), ("delete", "hello", "--yes")):
            done = await cli(*verb)
            assert (done.exit_code, f"[{rule}]" in done.stderr) == (6, True), verb
        monkeypatch.setattr(CLOCK, time)
        assert (await cli("delete", "hello", "--yes")).exit_code == 0
    assert bench.chain.tokens == tokens


def answering(chain_id: int, code: str) -> Callable[[dict], tuple[int, bytes]]:
    """A node of a chain, with the same code at each address."""
    results = {"eth_chainId": hex(chain_id), "eth_getCode": code}

    def answers(request: dict) -> tuple[int, bytes]:
        return 200, json.dumps(
            {"jsonrpc": "2.0", "id": request["id"], "result": results[request["method"]]}
        ).encode()

    return answers


@pytest.fixture
def typed(bench, monkeypatch):
    """Type a command with a market whose node is at *rpc*; nobody stands in for the chain's client."""

    def run(rpc: str, *words: str):
        market = bench.account.market.file
        path = bench.folder / "real.toml"
        path.write_text(
            f'rpc = "{rpc}"\nchain_id = {market.chain_id}\npayments = "{market.payments}"\n'
            f'registry = "{market.registry}"\ntoken = "{market.token}"\nfinality_blocks = 0\n'
        )
        key = bench.folder / "key"
        key.write_text(bench.key.hex())
        key.chmod(0o600)
        return CliRunner().invoke(main, [*words, "--market", str(path), "--key", str(key)])

    return run


@pytest.mark.parametrize("words", [("balance",), ("provider", "list"), ("status", "hello")])
def test_f2_a_node_of_another_chain(typed, words):
    with a_node_that(answering(5, "0x")) as url:
        done = typed(url, *words)
    assert done.exit_code == 4
    assert f"error: {url}: the node serves chain 5, the market is on chain " in done.stderr
    assert "hint: `rpc` and `chain_id` of the market file must be of one chain" in done.stderr


def test_f2b_no_contract_at_that_address(typed, bench):
    with a_node_that(answering(bench.account.market.file.chain_id, "0x")) as url:
        done = typed(url, "balance")
    assert done.exit_code == 4
    assert f"there is no payments contract at {bench.account.market.file.payments}" in done.stderr
    assert "hint: was the chain started anew?" in done.stderr


def test_f2c_a_node_that_is_away(typed):
    with a_node_that(answering(1, "0x")) as url:
        pass
    done = typed(url, "balance")
    assert done.exit_code == 8
    assert done.stderr.splitlines()[0] == (
        f"error: {url}: the chain node does not answer: nobody accepts connections there"
    )
    assert "hint: is `rpc` of the market file right, and is its node up?" in done.stderr


async def test_f5_a_pod_that_crashes_at_its_start_gets_all_of_its_deposit_back(bench, cli):
    tokens = dict(bench.chain.tokens)
    async with bench.peer("crashes").serve():
        done = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h")
        machine = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h", "-o", "json")
    assert done.exit_code == machine.exit_code == 6
    assert ": hello: CrashLoopBackOff: exit code 1 [start]\nhint: mend the program" in told(done.stderr)
    assert says_what_to_do(done.stderr)
    assert json.loads(machine.stdout)["money"]["state"] == "released"
    assert bench.chain.tokens == tokens
    assert [verb for verb, _ in bench.chain.log] == ["open", "release"] * 2


async def test_f11_a_key_that_others_may_read_is_warned_of_and_used(bench, cli):
    (bench.folder / "key").chmod(0o644)
    done = await cli("balance")
    assert done.exit_code == 0
    assert done.stderr.startswith("warning: ")
    assert "chmod 600" in done.stderr


async def test_f18_an_upload_that_was_cut_off_goes_on_where_it_was(bench, cli):
    """The same command again sends the rest, into the same channel: nothing is paid twice."""
    bench.wait(silent_s=0.1)
    bench.write_image(layers=(bytes(range(256)) * 20_000,))
    peer = bench.peer()
    async with peer.serve():
        peer.stop_after_chunks = 2
        cut = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h", "--wait", "0s")
        assert cut.exit_code == 8, cut.output
        assert says_what_to_do(cut.stderr)
        arrived, opened = sum(peer.chunks.values()), len(bench.chain.lives)
        peer.stop_after_chunks = None
        bench.wait(silent_s=60.0)
        again = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h")
    assert again.exit_code == 0, again.output
    assert arrived
    assert (opened, len(bench.chain.lives)) == (1, 1)


async def test_f19_ctrl_c_before_the_channel_leaves_nothing(bench, cli, monkeypatch):
    async def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    tokens = dict(bench.chain.tokens)
    monkeypatch.setattr(bench.chain, "token_balance", interrupted)
    async with bench.peer().serve():
        done = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h")
    assert done.exit_code == 130
    assert "\ninterrupted\n" in done.stderr
    assert (bench.chain.tokens, bench.chain.log) == (tokens, [])


async def test_f19b_ctrl_c_after_the_payment_says_what_goes_on_and_the_money_is_found_again(
    bench, cli, monkeypatch
):
    paid = bench.chain.open_with_permit

    async def then_interrupted(*given: object, **named: object) -> None:
        await paid(*given, **named)
        raise KeyboardInterrupt

    path, tokens = bench.folder / "pod.yaml", dict(bench.chain.tokens)
    async with bench.peer().serve():
        with monkeypatch.context() as meanwhile:
            meanwhile.setattr(bench.chain, "open_with_permit", then_interrupted)
            done = await cli("deploy", path, "--deposit", "1h")
        assert done.exit_code == 130
        assert "\ninterrupted\n" in done.stderr
        for way in ("`trustedpods deploy`", "`trustedpods delete hello`", "`trustedpods close hello`"):
            assert way in done.stderr
        assert (await cli("deploy", path, "--deposit", "1h")).exit_code == 0
        assert [verb for verb, _ in bench.chain.log] == ["open"], "the same channel"
        assert (await cli("delete", "hello", "--yes")).exit_code == 0
    assert bench.chain.tokens == tokens
