# SPDX-License-Identifier: Apache-2.0
"""A publisher who has nothing: a real Safe pays for one pod, a signer that asks a person for another.

The Safe's is for the soak: its contracts are fetched for it.
"""

import json
import secrets
import signal
from pathlib import Path

import pytest

from tests.contracts.node.safe import Safe
from tests.fakes.chain.signer_device import SignerDevice
from tests.live.clients import web
from tests.live.clients.publisher import Publisher, finish
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import WHOLE_TOKENS, Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.market import accounts
from trustedpods.protocol.ids import Address
from trustedpods.publisher.commands.options import INTERRUPTED


def poor(market: LiveLocalnet, folder: Path) -> Publisher:
    """Somebody with a new key, to which nobody has sent anything."""
    key = folder / "new.key"
    key.write_text(secrets.token_hex(32))
    key.chmod(0o600)
    return Publisher(market, key, folder)


def give(bank: Bank, who: Address) -> None:
    """A payer's money."""
    bank.rpc("anvil_setBalance", who, hex(10**18))
    deployer = accounts.read_key(accounts.deployer_key(bank.market.state))
    units = WHOLE_TOKENS * 10**bank.market.settings.knobs.decimals
    bank.ask(lambda chain: chain.mint(deployer, who, units))


@pytest.mark.soak
def test_a_safe_pays_for_a_deploy_that_waits_for_it(market: LiveLocalnet, tmp_path: Path) -> None:
    bank, person = Bank(market), poor(market, tmp_path)
    safe = Safe(bank.rpc, secrets.token_bytes(32), Address("0x" + secrets.token_hex(20)))
    give(bank, safe.address)
    file, payer = person.manifest("hello", unique("by-safe")), f"safe:{safe.address}"
    words = ("deploy", file.name, "--payer", payer)

    told = person.run(*words, code=7).json["error"]
    assert (told["rule"], bank.transactions_of(person.address)) == ("payer", 0)
    batch = Path(told["where"])
    batch.unlink()

    waiting = person.start(*words, "--wait", "2m", "-o", "json")
    until("the file is written", batch.exists)
    safe.execute(json.loads(batch.read_text()))
    result = finish(waiting, 0).json
    deployed = person.deploy(file, "--payer", payer)  # the same again meets it, and asks nobody
    assert (deployed.channel, web.get(deployed.url).status) == (result["channel"], 200)
    assert (bank.balance(person.address), bank.transactions_of(person.address)) == (0, 1)
    channel = bank.channel(deployed.channel)
    assert channel is not None
    person.close()
    assert bank.balance(person.address) > 0  # what was left came back to the key that opened the channel


@pytest.mark.live
def test_a_person_at_a_signer_pays_for_a_deploy(market: LiveLocalnet, tmp_path: Path) -> None:
    bank, person = Bank(market), poor(market, tmp_path)
    with SignerDevice(tmp_path / "signer.ipc", secrets.token_bytes(32)).running() as device:
        give(bank, device.address)
        payer = f"{device.address}@{device.path}"
        deployed = person.deploy(person.manifest("hello", unique("by-signer")), "--payer", payer)
        assert web.get(deployed.url).status == 200
        assert len(device.asked) == 2  # coin for gas, and the deposit
        left = bank.balance(device.address)
        person.run("fund", deployed.name, "1.5", "--payer", payer)
        unit = 10**market.settings.knobs.decimals
        assert left - bank.balance(device.address) == 3 * unit // 2
        assert bank.balance(person.address) == 0

        device.holds.clear()  # nobody is at it
        process, before = person.start("fund", deployed.name, "1.5", "--payer", payer), len(device.asked)
        until("the person is asked", lambda: len(device.asked) > before)
        process.send_signal(signal.SIGINT)
        finish(process, INTERRUPTED)  # what is confirmed afterwards goes nowhere
        device.holds.set()
        assert left - bank.balance(device.address) == 3 * unit // 2
    person.close()
