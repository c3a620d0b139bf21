# SPDX-License-Identifier: Apache-2.0
"""`operator-key --rotate` on a real chain, as typed: each run goes on, contracts say what was signed."""

import json
import os

import pytest
import trio
from click.testing import CliRunner

from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from tests.provider.test_config import GOOD
from trustedpods.contracts.client import Chain
from trustedpods.contracts.client.rpc.methods import CallRequest
from trustedpods.contracts.deploy import deploy
from trustedpods.contracts.eip712 import address_of
from trustedpods.provider.admin.reports.operator_key import OperatorKeyRequest, OperatorKeyView
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.cli import main
from trustedpods.provider.config import load_config
from trustedpods.provider.keys.file import make_key, read_key

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

OWNER = bytes([211]) * 32
GAS = hex(10**19)


@pytest.fixture
def anvil():
    with running_anvil() as anvil:
        yield anvil


def settings(tmp_path, anvil, market):
    """A provider's, with its key in *tmp_path*."""
    config = tmp_path / "provider.toml"
    text = GOOD.replace("/var/lib/tp", str(tmp_path)).replace("/k/operator", str(tmp_path / "operator.key"))
    config.write_text(text)
    found = load_config(config)
    for old, new in (
        (found.market.rpc, anvil.url),
        (found.market.payments, market.payments),
        (found.market.registry, market.registry),
        (found.market.token, market.token),
        (f"chain_id = {found.market.chain_id}", f"chain_id = {market.chain_id}"),
        (found.identity.owner, address_of(OWNER)),
    ):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    return config


async def typed(config, *words):
    words = ["operator-key", "--config", str(config), "-o", "json", *words]
    done = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, words))
    assert done.exit_code in (0, 4), done.output
    told = json.loads(done.stdout)
    assert told["complete"] == (done.exit_code == 0)
    return told


async def signed(chain, told):
    """By the owner's wallet, from the calldata that was printed; how many there were."""
    for one in told["transactions"]:
        assert one["from"] == address_of(OWNER)
        call = CallRequest(one["to"], bytes.fromhex(one["data"][2:]))
        await chain._sender.send(OWNER, call)  # as any wallet does
    return len(told["transactions"])


def view(key):
    return OperatorKeyView(
        address=address_of(key), balance="1", named=True, unfinished=0, former_unfinished=0, claims_out=0,
        change=None, trouble=None,
    )  # fmt: skip


async def test_a_key_is_changed_from_its_begin_to_its_end(tmp_path, anvil, nursery):
    market = await deploy(anvil.url, FUNDED_KEY, 6)
    config, path = settings(tmp_path, anvil, market), tmp_path / "operator.key"
    make_key(path, os.geteuid(), os.getegid())
    old, owner, used = read_key(path), address_of(OWNER), [read_key(path)]
    for who in (owner, address_of(old)):
        anvil.rpc("anvil_setBalance", who, GAS)

    async def answer(_request: OperatorKeyRequest) -> OperatorKeyView:
        return view(used[0])

    async with Chain(anvil.url, market) as chain:
        await chain.set_operator(OWNER, address_of(old))
        assert (await typed(config))["step"] == "nothing"
        told = await typed(config, "--rotate")  # it was made a moment ago
        assert (told["step"], told["complete"], "--again" in told["told"]) == ("nothing", True, True)
        os.utime(path, (0, 0))
        told = await typed(config, "--rotate")
        assert (told["step"], await signed(chain, told)) == ("name", 2)
        assert (await typed(config, "--rotate"))["step"] == "start"
        new = read_key(path)
        assert (await chain.operator_rights(owner, address_of(new))).all
        assert (await chain.operator_rights(owner, address_of(old))).all
        verbs = {"operator-key": verb_for(OperatorKeyRequest, answer)}
        await nursery.start(serve_admin, load_config(config).admin_socket, verbs)
        assert (await typed(config, "--rotate"))["step"] == "restart"
        used[0] = new
        told = await typed(config, "--rotate")
        assert (told["step"], await signed(chain, told)) == ("take-back", 2)
        assert not (await chain.operator_rights(owner, address_of(old))).any
        assert (await typed(config, "--rotate"))["step"] == "move-coin"
        anvil.rpc("anvil_setBalance", address_of(old), "0x0")
        told = await typed(config, "--rotate")
    assert (told["step"], told["operator"], told["complete"]) == ("nothing", address_of(new), True)
    told = await typed(config, "--rotate")  # as after a kill at the very end
    assert (told["operator"], told["complete"]) == (address_of(new), True)
    assert [file.name for file in tmp_path.glob("operator.key*")] == ["operator.key"]
