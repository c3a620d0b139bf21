# SPDX-License-Identifier: Apache-2.0
"""What the door makes of nodes that fail, are slow, or are others than was thought."""

import errno
import json
import logging
import secrets
import socket
import ssl
import threading
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest
import trio

from tests.contracts.conftest import GAS, new_party
from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.contracts.test_registry_rows import ROW
from tests.fakes.web_server import in_threads
from trustedpods.contracts.client import Chain, FolderJournal
from trustedpods.contracts.client.client_limits import ClientLimits
from trustedpods.contracts.client.errors import refusal
from trustedpods.contracts.client.node import Node
from trustedpods.contracts.deploy import deploy, unlike_source
from trustedpods.contracts.eip712 import address_of
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import ExitCode, InsufficientFunds, NetworkFailure, NoContext, Refused
from trustedpods.protocol.ids import PodRef, keccak256

SOMEBODY = address_of(b"\7" * 32)
MARKET = Market(31337, SOMEBODY, SOMEBODY, SOMEBODY)


@contextmanager
def a_node_that(answers):
    """An HTTP server that gives `answers(request)` -> (status, body); a body may come in pieces."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, body = answers(request)
            pieces = [body] if isinstance(body, bytes) else body
            self.send_response(status)
            if isinstance(body, bytes):
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)

        def log_message(self, *_):
            pass

    with in_threads(Handler) as url:
        yield url


def rpc_error(code, message):
    return lambda request: (
        200,
        json.dumps(
            {"jsonrpc": "2.0", "id": request["id"], "error": {"code": code, "message": message}}
        ).encode(),
    )


@pytest.mark.parametrize(
    "answers",
    [
        lambda _: (500, b"<html>oops</html>"),
        lambda _: (200, b"not json"),
        lambda _: (200, b"[1]"),
        lambda _: (200, b"{}"),
        lambda _: (429, b'{"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "slow down"}}'),
        lambda _: (200, b'{"jsonrpc": "2.0", "id": 0, "result": "0x"}'),
        lambda _: (200, b'{"jsonrpc": "2.0", "id": 0, "result": null}'),
        lambda _: (200, b'{"jsonrpc": "2.0", "id": 0, "result": {"number": []}}'),
        rpc_error(-32000, "header not found"),
        rpc_error(-32603, "internal error"),
    ],
)
async def test_a_node_in_trouble_never_says_that_a_channel_is_gone(answers):
    with a_node_that(answers) as url:
        async with Chain(url, MARKET) as chain:
            with pytest.raises(NetworkFailure):
                await chain.channels(SOMEBODY, [1])
            with pytest.raises(NetworkFailure):
                await chain.closed(SOMEBODY, 1)


async def test_a_node_that_is_not_there():
    async with Chain("http://127.0.0.1:1/secret-api-key", MARKET) as chain:
        with pytest.raises(NetworkFailure) as failure:
            await chain.head()
    assert "secret-api-key" not in str(failure.value)


def untrusted(_: object) -> ssl.SSLError:
    error = ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED]")
    error.verify_message = "self-signed certificate"
    return error


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (lambda _: socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "its name is not found"),
        (untrusted, r"its certificate is not trusted \(self-signed certificate\)"),
        (lambda _: ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER]"), "it does not speak TLS as it must"),
        (lambda _: OSError(errno.ENETUNREACH, "Network is unreachable"), "it cannot be reached from here"),
    ],
)
async def test_why_there_is_no_connection_is_said_as_it_is(monkeypatch, cause, said):
    def fails(*given, **_):
        raise cause(given)

    monkeypatch.setattr("socket.create_connection", fails)
    async with Chain("https://rpc.example.org/secret-api-key", MARKET) as chain:
        with pytest.raises(NetworkFailure, match=f"does not answer: {said}") as failure:
            await chain.head()
    assert "secret-api-key" not in str(failure.value)


async def test_a_node_without_tls_is_told_from_one_that_is_away():
    with a_node_that(lambda _: (200, b"{}")) as url:
        async with Chain(url.replace("http:", "https:"), MARKET) as chain:
            with pytest.raises(NetworkFailure, match="it does not speak TLS as it must"):
                await chain.head()


async def test_a_slow_node_is_given_up():
    stop = threading.Event()

    def slow(_):
        stop.wait(5)
        return 200, b"{}"

    with a_node_that(slow) as url:
        async with Chain(url, MARKET, limits=ClientLimits(request_s=0.2)) as chain:
            with pytest.raises(NetworkFailure, match=r"nothing came within 0\.2 s"):
                await chain.head()
        stop.set()


async def test_a_node_that_drips_is_given_up():
    """Each piece comes in time, and the answer never does."""
    stop = threading.Event()

    def dripping():
        while not stop.wait(0.05):
            yield b" "

    with a_node_that(lambda _: (200, dripping())) as url:
        async with Chain(url, MARKET, limits=ClientLimits(request_s=0.3)) as chain:
            with trio.fail_after(10), pytest.raises(NetworkFailure, match="takes too long"):
                await chain.head()
        stop.set()


async def test_an_answer_without_end_is_cut():
    with a_node_that(lambda _: (200, b"{" + b" " * 5000 + b"}")) as url:
        async with Chain(url, MARKET, limits=ClientLimits(answer_bytes=1000)) as chain:
            with pytest.raises(NetworkFailure, match="too large"):
                await chain.head()


async def test_cancelling_does_not_wait_for_the_node():
    stop = threading.Event()

    def slow(_):
        stop.wait(10)
        return 200, b"{}"

    with a_node_that(slow) as url:
        async with Chain(url, MARKET) as chain:
            with trio.fail_after(5), trio.move_on_after(0.1) as scope:
                await chain.head()
        assert scope.cancelled_caught
        stop.set()


def test_revert_data_is_named():
    live = keccak256(b"Live()")[:4]
    assert isinstance(refusal(live), Refused)
    assert refusal(live).rule == "Live"
    poor = keccak256(b"ERC20InsufficientBalance(address,uint256,uint256)")[:4]
    assert isinstance(refusal(poor + bytes(96)), InsufficientFunds)
    assert refusal(poor + b"short").rule == "ERC20InsufficientBalance"
    assert refusal(b"\1\2\3\4").rule == "reverted"


@pytest.mark.live
async def test_another_chain_or_other_contracts_are_noticed(anvil, onchain):
    market = onchain.market
    wrong = [
        replace(market, chain_id=5),
        replace(market, payments=SOMEBODY),
        replace(market, registry=SOMEBODY),
        replace(market, token=market.registry),
    ]
    for one in wrong:
        async with Chain(anvil.url, one) as chain:
            with pytest.raises(NoContext) as caught:
                await chain.check_market()
            assert caught.value.exit_code == ExitCode.NO_CONTEXT
            assert caught.value.hint or "is for token" in caught.value.what
    await onchain.check_market()


@pytest.mark.live
async def test_deployed_code_is_the_packaged_code(anvil, onchain):
    assert await unlike_source(anvil.url, onchain.market) == []
    swapped = replace(onchain.market, payments=onchain.market.registry)
    assert await unlike_source(anvil.url, swapped) == ["PodPayments"]


@pytest.mark.live
async def test_many_writes_at_once_from_one_key(anvil, onchain):
    party = new_party()
    anvil.rpc("anvil_setBalance", party.address, hex(GAS))
    receipts = []

    async def pay(number):
        receipts.append(await onchain.set_payout(party.key, new_party().address))

    async with trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(pay, number)
    assert len({receipt.tx_hash for receipt in receipts}) == 20
    assert int(anvil.rpc("eth_getTransactionCount", party.address, "latest"), 16) == 20


@pytest.mark.live
async def test_channels_opened_at_once_by_one_key_do_not_spoil_each_others_permits(anvil, onchain, terms):
    party, meter = new_party(), new_party().address
    anvil.rpc("anvil_setBalance", party.address, hex(GAS))
    await onchain.mint(FUNDED_KEY, party.address, 500)
    refs = [PodRef(SOMEBODY, party.address, secrets.token_bytes(32)) for _ in range(5)]
    async with trio.open_nursery() as nursery:
        for ref in refs:
            nursery.start_soon(onchain.open_with_permit, party.key, ref, meter, terms, 100)
    opened = await onchain.channels(SOMEBODY, [ref.channel for ref in refs])
    assert [channel.left for channel in opened] == [100] * 5


@pytest.mark.live
async def test_processes_that_open_at_once_take_turns_with_the_permit(terms, tmp_path):
    """Each link to the folder is an outbox of its own, as in another process: only the files are shared."""
    party, meter = new_party(), new_party().address
    (tmp_path / "kept").mkdir()
    with running_anvil("--block-time", "1") as anvil:
        market = replace(await deploy(anvil.url, FUNDED_KEY, 6), finality_blocks=2)
        anvil.rpc("anvil_setBalance", party.address, hex(GAS))
        async with AsyncExitStack() as stack:
            chains = []
            for number in range(4):
                folder = tmp_path / f"process-{number}"
                folder.symlink_to("kept")
                journal = FolderJournal(folder)
                chains.append(await stack.enter_async_context(Chain(anvil.url, market, journal=journal)))
            await chains[0].mint(FUNDED_KEY, party.address, 400)
            refs = [PodRef(SOMEBODY, party.address, secrets.token_bytes(32)) for _ in chains]
            async with trio.open_nursery() as nursery:
                for chain, ref in zip(chains, refs, strict=True):
                    nursery.start_soon(chain.open_with_permit, party.key, ref, meter, terms, 100)
            opened = await chains[0].channels(SOMEBODY, [ref.channel for ref in refs])
        assert [channel.left for channel in opened] == [100] * 4
        sent = int(anvil.rpc("eth_getTransactionCount", party.address, "latest"), 16)
        assert sent == 4  # none failed on the way


@pytest.mark.live
async def test_what_is_not_mined_in_time_says_its_hash(terms, caplog):
    with running_anvil() as anvil:
        market = await deploy(anvil.url, FUNDED_KEY, 6)
        anvil.rpc("evm_setAutomine", False)
        async with Chain(anvil.url, market, mined_within_s=0.3) as chain:
            with (
                caplog.at_level(logging.DEBUG),
                pytest.raises(NetworkFailure, match=r"0x[0-9a-f]{64}") as late,
            ):
                await chain.set_payout(FUNDED_KEY, SOMEBODY)
        pending = anvil.rpc("eth_getBlockByNumber", "pending", False)["transactions"]
        assert pending[0] in str(late.value)
    assert FUNDED_KEY.hex() not in caplog.text + str(late.value)


@pytest.mark.live
async def test_a_node_that_dies_after_taking_a_transaction(terms):
    with running_anvil("--block-time", "60") as anvil:
        chain = Chain(anvil.url, MARKET, mined_within_s=2)
        async with chain, trio.open_nursery() as nursery:
            nursery.start_soon(_send_in_vain, chain)
            while not anvil.rpc("eth_getBlockByNumber", "pending", False)["transactions"]:
                await trio.sleep(0.02)
            anvil.process.kill()


async def _send_in_vain(chain):
    with pytest.raises(NetworkFailure, match="was not mined"):
        await chain.send_gas(FUNDED_KEY, SOMEBODY, 1)


@pytest.mark.live
async def test_a_transaction_that_fails_when_mined_says_why():
    """Two removals of one row in one block: both looked good when they were sent."""
    with running_anvil() as anvil:
        market = await deploy(anvil.url, FUNDED_KEY, 6)
        async with Chain(anvil.url, market) as chain:
            owner = address_of(FUNDED_KEY)
            await chain.register(FUNDED_KEY, replace(ROW, owner=owner, token=market.token, daemon=1))
            anvil.rpc("evm_setAutomine", False)
            failures = []

            async def remove():
                try:
                    await chain.remove(FUNDED_KEY, 1)
                except Refused as error:
                    failures.append(error)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(remove)
                nursery.start_soon(remove)
                while int(anvil.rpc("txpool_status")["pending"], 16) < 2:
                    await trio.sleep(0.02)
                anvil.rpc("evm_mine")
    (failure,) = failures
    assert failure.rule == "Unknown"
    assert "0x" in failure.where


@pytest.mark.live
async def test_with_a_block_a_second_a_write_takes_about_one(terms):
    with running_anvil("--block-time", "1") as anvil:
        market = await deploy(anvil.url, FUNDED_KEY, 18)
        async with Chain(anvil.url, market) as chain:
            with trio.fail_after(12):
                for _ in range(3):
                    await chain.mint(FUNDED_KEY, SOMEBODY, 5)
            assert await chain.token_balance(SOMEBODY) == 15


async def test_a_node_that_hangs_leaves_threads_to_others():
    """As many reads as trio has threads for all: they wait in a line of their own."""
    node, hangs, running = Node("http://127.0.0.1:1"), threading.Event(), []

    def ask():
        running.append(None)
        assert hangs.wait(30)

    async with trio.open_nursery() as nursery:
        for _ in range(100):
            nursery.start_soon(node.read, ask)
        with trio.fail_after(10):
            while len(running) < ClientLimits().reads_at_once:
                await trio.sleep(0.01)
            assert await trio.to_thread.run_sync(lambda: "a thread") == "a thread"
        assert len(running) == ClientLimits().reads_at_once
        hangs.set()
    node.close()
    assert len(running) == 100
