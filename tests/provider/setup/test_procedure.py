# SPDX-License-Identifier: Apache-2.0
"""From nothing to a row in the market, run by run; and again, which changes nothing."""

import json
import os
from dataclasses import replace

import pytest

from tests.fakes.setup.site import FakeSite
from tests.provider.setup.test_market_prices import row
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput, NetworkFailure
from trustedpods.protocol.ids import Address
from trustedpods.provider.admin.registration import row_of
from trustedpods.provider.config import load_config
from trustedpods.provider.keys.file import read_key
from trustedpods.provider.setup.answers import answered
from trustedpods.provider.setup.asking import Asking
from trustedpods.provider.setup.files import ServiceUser
from trustedpods.provider.setup.owner.transactions import offered_otherwise
from trustedpods.provider.setup.plan import ROW_FILE
from trustedpods.provider.setup.procedure import Setup, set_up

OWNER = Address("0x" + "44" * 20)
ME = ServiceUser(os.geteuid(), os.getegid())


@pytest.fixture
def site():
    made = FakeSite()
    made.chain.decimals = 18
    return made


@pytest.fixture
def answers(tmp_path, site):
    """What the six questions are answered with."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("")
    market = site.chain.market
    file = tmp_path / "market.toml"
    file.write_text(
        f'rpc = "http://10.0.0.1:8545"\nchain_id = {market.chain_id}\npayments = "{market.payments}"\n'
        f'registry = "{market.registry}"\ntoken = "{market.token}"\n'
    )
    return answered(
        domain="k1.example.org", market=str(file), owner=OWNER, core_hour="2.5", gib_hour="0.5",
        region="moon", kubeconfig=str(kubeconfig),
    )  # fmt: skip


@pytest.fixture
def setup(tmp_path, site):
    return Setup(tmp_path / "etc" / "provider.toml", ME, site)


def states(result):
    return {one.path.rpartition("/")[2]: one.state for one in result.files}


async def sign(site, result):
    """The owner does what he is shown."""
    identity = await site.daemon(result.config)
    written = row_of(result.config, identity)
    site.chain.rows[written.owner, written.daemon] = replace(written, updated_at=site.chain.now)
    site.chain.operators.add((OWNER, result.operator))
    site.chain.gas[result.operator] = 10**16


async def test_books_at_a_place_that_was_changed_by_hand_stay_there(setup, answers, tmp_path):
    """A daemon that opens others knows none of its pods."""
    first = await set_up(setup, answers)
    text = setup.config_path.read_text()
    moved = text.replace(first.config.store.path, "/srv/tp/books.db").replace(
        first.config.store.spool, "/blobs/spool"
    )
    assert moved != text
    setup.config_path.write_text(moved)
    again = (await set_up(setup, answered())).config
    assert (again.store.path, again.store.spool) == ("/srv/tp/books.db", "/blobs/spool")
    elsewhere = (await set_up(setup, answered(data="/data"))).config
    assert elsewhere.store.path == "/data/store.db"


async def test_run_by_run_until_the_provider_is_in_the_market(setup, answers, site):
    first = await set_up(setup, answers)
    assert states(first) == {
        "operator.key": "written",
        "provider.toml": "written",
        "registry.yaml": "written",
    }
    assert [line for line in first.to_do if "systemctl enable --now" in line]
    assert not first.complete
    config = load_config(setup.config_path)
    assert config == first.config
    assert config.identity.region == "moon"
    assert config.cluster.egress_closed == ["8.8.4.4/32", "8.8.8.8/32"]
    key = setup.config_path.parent / "operator.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert address_of(read_key(key)) == first.operator

    again = await set_up(setup, answered())
    assert set(states(again).values()) == {"unchanged"}
    assert "nothing was changed" in list(again.lines())
    assert again.to_do == first.to_do

    site.running = True
    shown = await set_up(setup, answered())
    assert not shown.to_do
    assert [one.to for one in shown.transactions] == [
        config.market.registry, config.market.registry, config.market.payments, shown.operator,
    ]  # fmt: skip
    taken_along = json.loads((setup.config_path.parent / ROW_FILE).read_text())
    assert [one["from"] for one in taken_along] == [OWNER] * 3
    assert states(await set_up(setup, answered()))[ROW_FILE] == "unchanged"

    await sign(site, shown)
    done = await set_up(setup, answered())
    assert done.complete
    assert states(done).pop(ROW_FILE) == "removed"
    assert set(states(await set_up(setup, answered())).values()) == {"unchanged"}


async def test_new_prices_are_signed_only_once_the_daemon_offers_them(setup, answers, site):
    site.running = True
    await sign(site, await set_up(setup, answers))
    assert (await set_up(setup, answered())).complete
    dearer = await set_up(setup, answered(core_hour="5", region="mars"))
    assert states(dearer)["provider.toml"] == "replaced"
    assert not dearer.transactions
    assert not dearer.complete
    (line,) = dearer.to_do
    assert "restart the daemon first" in line
    assert "(region, prices)" in line
    assert "systemctl restart trustedpods-provider; then run this again" in line
    assert not (setup.config_path.parent / ROW_FILE).exists()
    site.restart()
    (row,) = (await set_up(setup, answered())).transactions
    assert "registry row" in row.purpose
    cheaper = await set_up(setup, answered(core_hour="4"))
    assert states(cheaper)[ROW_FILE] == "removed"
    assert not cheaper.transactions


async def test_a_daemon_whose_profile_is_not_understood_is_of_another_version(setup, answers):
    config = (await set_up(setup, answers)).config
    assert offered_otherwise(config, b"later") == ["its version"]


async def test_the_owner_is_waited_for(setup, answers, site, virtual_time):
    site.running = True
    shown = await set_up(setup, answers)
    assert shown.transactions

    async def signer():
        if site.looks > 4:
            await sign(site, shown)

    site.looks, site.signer = 1, signer
    told = []
    done = await set_up(replace(setup, wait_s=3600, waiting=told.append), answered())
    assert done.complete
    assert site.looks == 5
    rows = [one.state for one in done.files if one.path.endswith(ROW_FILE)]
    assert rows == ["unchanged", "removed"]  # not a line for each look
    (before,) = told  # else nobody knew what to sign
    assert (before.transactions, before.complete) == (shown.transactions, False)


async def test_nothing_is_waited_for_longer_than_was_asked(setup, answers, site, virtual_time):
    site.running = True
    left = await set_up(replace(setup, wait_s=10), answers)
    assert left.transactions
    assert site.looks == 6


async def test_what_the_operator_changed_by_hand_stays(setup, answers):
    await set_up(setup, answers)
    text = setup.config_path.read_text().replace("# slots = 256", "slots = 512")
    setup.config_path.write_text(text)
    assert set(states(await set_up(setup, answered())).values()) == {"unchanged"}
    other = await set_up(setup, answered(domain="other.example.org"))
    assert states(other)["provider.toml"] == "replaced"
    config = load_config(setup.config_path)
    assert (config.facade.slots, config.identity.domain) == (512, "other.example.org")


async def test_a_key_is_never_replaced(setup, answers):
    key = setup.config_path.parent / "operator.key"
    key.parent.mkdir()
    key.write_text("rubbish")
    key.chmod(0o600)
    with pytest.raises(BadInput, match="not a key"):
        await set_up(setup, answers)
    assert key.read_text() == "rubbish"
    assert not setup.config_path.exists()
    key.write_text("07" * 32)
    assert (await set_up(setup, answers)).operator == address_of(b"\7" * 32)
    assert key.read_text() == "07" * 32


async def test_all_that_nobody_answered_is_one_error(setup, answers, tmp_path):
    only = answered(kubeconfig=str(tmp_path / "kubeconfig"))
    with pytest.raises(BadInput, match="not answered: domain, market, rpc, owner") as caught:
        await set_up(setup, only)
    assert "--answers" in caught.value.hint
    assert not setup.config_path.parent.exists()


async def test_prices_are_suggested_and_nothing_else_is_made_up(setup, answers, site):
    without = answered(**(answers.model_dump(exclude_none=True) | {"core_hour": None, "gib_hour": None}))
    with pytest.raises(BadInput, match="nobody in the market offers the like"):
        await set_up(replace(setup, asking=Asking(usual=True)), without)
    for number, price in enumerate(("1", "2", "3"), start=1):
        one = row(number, price, token=site.chain.market.token, at=site.chain.now)
        site.chain.rows[one.owner, 1] = one
    with pytest.raises(BadInput, match=r"core_hour, gib_hour$"):
        await set_up(setup, without)
    result = await set_up(replace(setup, asking=Asking(usual=True)), without)
    assert "prices: 2 TPT a core-hour, 0.4 a GiB-hour" in result.facts
    site.chain.rows.clear()
    assert set(states(await set_up(setup, answered())).values()) == {"unchanged"}


async def test_a_person_is_asked_what_is_missing_and_nothing_twice(setup, answers, site):
    for number, price in enumerate(("1", "2", "3"), start=1):
        one = row(number, price, token=site.chain.market.token, at=site.chain.now)
        site.chain.rows[one.owner, 1] = one
    said = {"domain": "k2.example.org", "market": answers.market, "owner": OWNER}
    asked, told = [], []

    def ask(question, usual):
        asked.append(question)
        return next((said[word] for word in said if word in question), usual)

    person = replace(setup, asking=Asking(ask, told=told.append))
    result = await set_up(person, answered(kubeconfig=answers.kubeconfig))
    assert len(asked) == 7  # the market's file and its prices are two questions each, less the node it names
    assert result.config.identity.region == ""
    assert "a core-hour costs 1 / 2 / 3 TPT (quartiles of 3)" in told
    assert any("at 50 % use" in line for line in told)
    await set_up(person, answered())
    assert len(asked) == 7


@pytest.mark.parametrize(
    ("nodes_can", "said", "usual", "questions", "chosen"),
    [
        (True, "", False, 1, True),
        (True, "no", False, 1, False),
        (False, "", False, 0, False),
        (True, None, True, 0, True),
        (True, None, False, 0, False),
        (False, None, True, 0, False),
    ],
)
async def test_user_ids_of_their_own_are_asked_for_where_nodes_can_give_them(
    setup, answers, site, nodes_can, said, usual, questions, chosen
):
    site.user_namespaces, asked = nodes_can, []

    def ask(question, suggested):
        asked.append(question)
        return said or suggested

    person = replace(setup, asking=Asking(None if said is None else ask, usual=usual))
    result = await set_up(person, answered(data="/srv/pods").over(answers))
    assert len([question for question in asked if "user ids" in question]) == questions
    assert result.config.cluster.user_namespaces is chosen
    again = await set_up(replace(setup, asking=Asking(ask, usual=True)), answered())
    assert again.config == result.config, "what was chosen is asked for once"
    other = await set_up(setup, answered(user_namespaces=not chosen))
    assert other.config.cluster.user_namespaces is not chosen


async def test_what_cannot_be_looked_at_leaves_everything_as_it_was(setup, answers, site):
    site.chain.broken = True
    with pytest.raises(NetworkFailure):
        await set_up(setup, answers)
    assert not setup.config_path.parent.exists()


async def test_each_thing_that_is_wrong_has_its_line(setup, answers, site):
    site.address, site.taken = "10.0.0.5", {80: "http to pods (HAProxy)"}
    site.storage_classes, site.nodes, site.tee = (), {}, "tdx"
    result = await set_up(setup, answered(trust="open", data="/srv/pods").over(answers))
    for part in ("port 80 is taken", "no node takes pods", "ReadWritePaths=/srv/pods",
                 "10.0.0.5 is no public address"):  # fmt: skip
        assert [line for line in result.to_do if part in line], part
    assert any("so pods have no volumes" in line for line in result.facts)
    site.tee = None
    sealed = await set_up(setup, answered(trust="sealed", public_address="10.0.0.5"))
    assert [line for line in sealed.to_do if "the kernel offers no TEE" in line]
    assert not [line for line in sealed.to_do if "public" in line or "ReadWritePaths" in line]
    assert result.config.store.path == "/srv/pods/store.db"
    assert "/srv/pods/registry" in (setup.config_path.parent / "registry.yaml").read_text()


async def test_behind_nat_the_public_address_is_told(setup, answers, site):
    site.address = "10.0.0.5"
    result = await set_up(setup, answered(public_address="9.9.9.9").over(answers))
    assert result.config.net.listen == ["/ip4/10.0.0.5/tcp/4001"]
    assert result.config.net.announce == ["/ip4/9.9.9.9/tcp/4001"]
    assert "9.9.9.9/32" in result.config.cluster.egress_closed
    moved = await set_up(setup, answered(public_address="9.9.9.10"))
    assert moved.config.net.announce == ["/ip4/9.9.9.10/tcp/4001"]


async def test_a_machine_without_a_way_to_the_world_listens_where_it_is_told(setup, answers, site):
    site.address = None
    with pytest.raises(BadInput, match="no way to the world"):
        await set_up(setup, answers)
    assert not setup.config_path.parent.exists()
    result = await set_up(setup, answered(public_address="10.9.0.1").over(answers))
    assert result.config.net.listen == ["/ip4/10.9.0.1/tcp/4001"]


async def test_class_sealed_where_there_is_a_tee(setup, answers, site):
    site.tee = "sev-snp"
    result = await set_up(setup, answers)
    assert (result.config.identity.trust, result.config.identity.tee) == ("sealed", "hardware")
    assert result.config.identity.tee_files == f"{setup.config_path.parent}/tee"
