# SPDX-License-Identifier: Apache-2.0
"""`history` at two whole daemons: what was run, what was killed, and no secret."""

import json
from dataclasses import replace

import pytest

from tests.publisher.verbs.networks.test_verbs import stranger
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.networks.history import SecretText
from trustedpods.publisher.client import Client
from trustedpods.publisher.commands.network_lines import history_lines
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.networks.documents.history import history


async def test_commands_their_ends_and_what_was_killed(shop):
    await shop.phase("stopped")
    with pytest.raises(KeyboardInterrupt):
        await shop.interrupted([("--token", SecretText("hunter2"))])
    result = await history(shop.account, shop.place, shop.journal)
    assert [(one.verb, one.result) for one in result.records] == [
        ("network connect", "done"),
        ("network apply", "done"),
        ("network apply", ""),
    ]
    lines = history_lines(result)
    assert len(lines) == 4
    assert "unfinished" in lines[3]
    assert f"--cluster k1={shop.place.clusters['k1']}" in lines[1]
    assert all(shop.account.publisher.address in line for line in lines[1:])
    told = json.dumps(json_of(result)) + "\n".join([*lines, *result.script])
    assert "hunter2" not in told
    assert "(secret)" in lines[3]
    last = json.loads(json.dumps(json_of(result)))["commands"][2]
    assert (last["ended"], last["result"], last["generation"]) == (None, None, 3)
    assert [line for line in result.script if "SECRET_TOKEN" in line] == [], "it did not succeed"


async def test_a_program_asks_the_same(shop):
    clusters = {name: str(choice) for name, choice in shop.place.clusters.items()}
    result = await Client(shop.account).history("shop", clusters)
    assert [one.verb for one in result.records] == ["network connect"]


async def test_strangers_and_networks_that_are_not_there(shop):
    place = replace(shop.place, founder=shop.account.publisher.address)
    with pytest.raises(Refused) as caught:
        await history(stranger(shop.team), place, shop.journal)
    assert caught.value.rule == "member"
    await shop.remove()
    with pytest.raises(Refused) as caught:
        await history(shop.account, shop.place, shop.journal)
    assert caught.value.rule == "no-network"
