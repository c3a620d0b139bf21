# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace

import pytest
import trio

from tests.provider.acme.zone import KEY, Zone
from tests.provider.facade.parts import free_port
from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.provider.dns.updates import UpdateKey, ZoneUpdates, parse_update_key, read_update_key

NAME = "_acme-challenge.k1.example.org."
FILE = """
key "acme-key" {
	algorithm hmac-sha256;
	secret "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
};
"""


@pytest.fixture
async def zone(nursery):
    here = Zone(free_port())
    await nursery.start(here.run)
    return here


def updates(zone: Zone, key: UpdateKey = KEY) -> ZoneUpdates:
    return ZoneUpdates(zone.server, "k1.example.org", key)


async def test_texts_are_added_beside_others_and_taken_away_alone(zone):
    zone.texts[NAME] = {"another's"}
    await updates(zone).add_texts(NAME, ["one", "two"])
    assert zone.texts[NAME] == {"another's", "one", "two"}
    await updates(zone).remove_texts(NAME, ["one", "two"])
    assert zone.texts[NAME] == {"another's"}
    assert zone.updates == 2


@pytest.mark.parametrize("change", [{"secret": b"another"}, {"name": "unknown"}])
async def test_a_key_that_the_server_does_not_know_changes_nothing(zone, change):
    with pytest.raises(NetworkFailure, match="was not changed"):
        await updates(zone, replace(KEY, **change)).add_texts(NAME, ["one"])
    assert zone.texts == {}


async def test_a_refusal_is_told_with_what_to_look_at(zone):
    zone.refuses = True
    with pytest.raises(NetworkFailure, match="REFUSED") as told:
        await updates(zone).add_texts(NAME, ["one"])
    assert "update-policy" in str(told.value.hint)


async def test_a_server_that_is_not_there_is_told():
    with trio.fail_after(30), pytest.raises(NetworkFailure, match="was not changed"):
        await ZoneUpdates(f"127.0.0.1:{free_port()}", "k1.example.org", KEY).add_texts(NAME, ["one"])


@pytest.mark.parametrize("name", ["a" * 64, "a..b", "a." * 200], ids=["label", "empty", "long"])
async def test_a_name_that_is_none_is_told(zone, name):
    for change in (updates(zone).add_texts, updates(zone).remove_texts):
        with pytest.raises(NetworkFailure, match="was not changed"):
            await change(name, ["one"])
    assert zone.updates == 0


def test_a_key_is_read_as_tsig_keygen_writes_it(tmp_path):
    assert parse_update_key(FILE, "here") == KEY
    file = tmp_path / "zone.key"
    file.write_text(FILE)
    assert read_update_key(file) == KEY
    assert "0123456789" not in repr(KEY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no key"),
        (FILE.replace("secret", "password"), "no key"),
        (FILE.replace("hmac-sha256", "hmac-md5"), "algorithm"),
        (FILE.replace("MDEy", "MD$y"), "base64"),
    ],
)
def test_what_is_no_key_is_told(text, told):
    with pytest.raises(BadInput, match=told):
        parse_update_key(text, "zone.key")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_update_key(tmp_path / "none")
