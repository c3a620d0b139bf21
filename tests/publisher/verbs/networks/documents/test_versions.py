# SPDX-License-Identifier: Apache-2.0
"""Migrations, backups and what goes back, at two whole daemons."""

import json
import time

import pytest

from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.ids import address_bytes
from trustedpods.protocol.networks.content import LostCluster
from trustedpods.protocol.networks.migrations import SCHEMA
from trustedpods.protocol.networks.sealed_documents import seal_body
from trustedpods.publisher.client import Client
from trustedpods.publisher.commands.network_lines import migrate_lines, restore_lines
from trustedpods.publisher.output.json_of import json_of
from trustedpods.publisher.verbs.networks.delete import delete
from trustedpods.publisher.verbs.networks.documents import versions

ABSURD = (1 << 64) - 1


def in_absurd_epoch(content):
    metadata = content.metadata.model_copy(update={"epoch": ABSURD})
    return content.model_copy(update={"metadata": metadata})


def of_schema_2(fields):
    for cluster in fields["clusters"]:
        del cluster["lost"]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "kept" / "shop.backup"


def verbs(view):
    return [record.verb for chunk in view.content.history for record in chunk]


async def test_an_older_state_is_read_and_written_only_as_a_migration_after_a_backup(shop, file):
    await shop.write_as_schema(2, of_schema_2)
    told = await versions.migrate(shop.account, shop.place, None, 0.0, shop.journal)
    assert told.document is None
    assert "nothing was changed" in migrate_lines(told)[-1]
    assert [line.split(":")[0] for line in told.steps] == ["schema 3", "schema 4", "schema 5", "schema 6"]
    with pytest.raises(Refused) as caught:
        await shop.phase("stopped")
    assert (caught.value.rule, caught.value.exit_code) == ("schema", 6)
    assert await shop.phases() == ["started"]
    done = await versions.migrate(shop.account, shop.place, file, 0.0, shop.journal)
    assert f"schema {SCHEMA} now" in migrate_lines(done)[-1]
    assert json_of(done)["generation"] == 2
    view = await shop.view()
    migration = view.content.metadata.migration
    me = address_bytes(shop.account.publisher.address)
    assert (view.read.schema_version, migration.from_version, migration.migrated_by) == (SCHEMA, 2, me)
    assert verbs(view) == ["network connect", "state migrate"]
    await shop.phase("stopped")
    again = await versions.migrate(shop.account, shop.place, file, 0.0, shop.journal)
    assert "already" in migrate_lines(again)[0]
    back = await versions.restore(shop.account, shop.place, file, shop.journal, go_back=True)
    assert back.saved.generation == 1
    assert await shop.phases() == ["started"]


async def test_an_older_state_is_not_written_by_anything_else(shop):
    await shop.write_as_schema(2, of_schema_2)
    with pytest.raises(Refused) as caught:
        async with shop.changing() as change:
            await change.write(change.state.content)
    assert caught.value.rule == "schema"
    with pytest.raises(Refused) as caught:
        await delete(shop.account, shop.name, shop.place.clusters, 0.0, shop.journal)
    assert caught.value.rule == "schema"
    view = await shop.view()
    assert (view.document.generation, view.read.schema_version) == (1, 2)


async def test_a_newer_state_is_neither_migrated_nor_taken_back(shop, file):
    await versions.backup(shop.account, shop.place, file, shop.journal)
    await shop.write_as_schema(SCHEMA + 1, lambda fields: fields.update(moon="full"))
    for work in (
        versions.migrate(shop.account, shop.place, file.with_name("other"), 0.0, shop.journal),
        versions.migrate(shop.account, shop.place, None, 0.0, shop.journal),
        versions.restore(shop.account, shop.place, file, shop.journal, go_back=True),
        shop.phase("stopped"),
    ):
        with pytest.raises(Refused) as caught:
            await work
        assert caught.value.rule == "schema"
    assert await shop.phases() == ["started"]


async def test_what_would_go_back_needs_a_word_and_keeps_the_history(shop, file):
    kept = await versions.backup(shop.account, shop.place, file, shop.journal)
    assert json_of(kept)["generation"] == 1
    assert file.stat().st_mode & 0o077 == 0
    same = await versions.restore(shop.account, shop.place, file, shop.journal)
    assert "already" in restore_lines(same)[0]
    await shop.phase("stopped")
    with pytest.raises(Refused) as caught:
        await versions.restore(shop.account, shop.place, file, shop.journal)
    assert caught.value.rule == "go-back"
    assert "node0: stopped -> started" in caught.value.what
    assert await shop.phases() == ["stopped"]
    back = await versions.restore(shop.account, shop.place, file, shop.journal, go_back=True)
    assert (back.saved.generation, back.document.generation) == (1, 3)
    assert json.dumps(json_of(back))
    assert restore_lines(back)[0] == "node0: stopped -> started"
    assert await shop.phases() == ["started"]
    assert verbs(await shop.view()) == ["network connect", "network apply", "state restore"]


async def test_clusters_that_keep_nothing_get_state_and_team_back(shop, file):
    await versions.backup(shop.account, shop.place, file, shop.journal)
    before = await shop.view()
    await shop.remove()
    back = await versions.restore(shop.account, shop.place, file, shop.journal)
    assert back.document.generation == 1
    after = await shop.view()
    assert after.roster.members == before.roster.members
    assert after.content.components == before.content.components
    assert verbs(after) == ["network connect", "state restore"]


async def test_a_restored_state_begins_an_epoch_in_which_no_older_book_counts(shop, file):
    """Clusters that were empty count generations from 1 anew, and nodes run with books of the lost ones."""
    await versions.backup(shop.account, shop.place, file, shop.journal)
    epochs = [(await shop.view()).content.metadata.epoch]
    for empty in (True, True, False):  # one backup, clusters lost twice; then a state that goes back
        await (shop.remove() if empty else shop.phase("stopped"))
        await versions.restore(shop.account, shop.place, file, shop.journal, go_back=not empty)
        epochs.append((await shop.view()).content.metadata.epoch)
        await shop.phase("started")
        assert (await shop.view()).content.metadata.epoch == epochs[-1]
    assert epochs[0] < epochs[1] <= epochs[2] < epochs[3]
    assert epochs[1] > 1_700_000_000, "the clock's, as the backup knows nothing of the first restore"


async def test_an_absurd_epoch_is_read_and_told_and_a_restore_of_it_is_the_way_out(shop, file):
    """A client that is not ours wrote it under a daemon that looked at no epoch."""
    await shop.write_by_hand(in_absurd_epoch)
    view = await shop.view()
    assert view.content.metadata.epoch == ABSURD
    with pytest.raises(Refused) as caught:
        await shop.phase("stopped")
    assert (caught.value.rule, "state restore" in caught.value.hint) == ("epoch", True)
    await versions.backup(shop.account, shop.place, file, shop.journal)
    await versions.restore(shop.account, shop.place, file, shop.journal)
    epoch = (await shop.view()).content.metadata.epoch
    assert abs(epoch - time.time()) < 60
    await shop.phase("stopped")
    assert (await shop.view()).content.metadata.epoch == epoch


@pytest.mark.parametrize("what", ["no state at all", "a cluster that no owner declared lost"])
async def test_what_no_member_can_read_an_owner_lets_a_backup_follow(shop, file, what):
    """Daemons open nothing, so whoever writes may sign anything; it ends nobody's work for ever."""
    await versions.backup(shop.account, shop.place, file, shop.journal)
    await shop.phase("stopped")
    view = await shop.view()
    lost = LostCluster(at=1, by=bytes(20), reason="none")
    clusters = [view.content.clusters[0].model_copy(update={"lost": lost}), *view.content.clusters[1:]]
    forged = view.content.model_copy(update={"clusters": clusters})
    sealed = b"no state" if what == "no state at all" else encode(forged)
    team, epoch = (view.body.changes, view.body.cards), view.content.metadata.epoch
    generation, key = view.document.generation + 1, shop.account.publisher.key
    body = seal_body(key, shop.name, generation, SCHEMA, *team, sealed, epoch=epoch)
    async with shop.team.clusters() as clusters, clusters.locked("a changed client") as held:
        await held.write(body)
    with pytest.raises(TrustedPodsError) as caught:
        await shop.phase("started")
    assert caught.value.rule in ("unreadable", "members")
    assert "state restore NAME FILE --go-back" in caught.value.hint
    with pytest.raises(Refused) as caught:
        await versions.restore(shop.account, shop.place, file, shop.journal)
    assert caught.value.rule == "go-back"
    assert shop.account.publisher.address.lower() in caught.value.what, "who signed it is told"
    back = await versions.restore(shop.account, shop.place, file, shop.journal, go_back=True)
    assert back.document.generation == generation + 1
    assert verbs(await shop.view()) == ["network connect", "state restore"]
    await shop.phase("stopped")


async def test_clusters_that_were_empty_count_anew_and_what_came_since_is_not_undone_unasked(shop, file):
    await shop.phase("stopped")
    await shop.phase("started")
    await versions.backup(shop.account, shop.place, file, shop.journal)
    await shop.remove()
    await versions.restore(shop.account, shop.place, file, shop.journal)
    await shop.phase("stopped")
    with pytest.raises(Refused) as caught:
        await versions.restore(shop.account, shop.place, file, shop.journal)
    assert caught.value.rule == "go-back"
    assert "generation 3" in caught.value.what
    assert "2 counts" in caught.value.what
    assert await shop.phases() == ["stopped"]
    await versions.restore(shop.account, shop.place, file, shop.journal, go_back=True)
    assert await shop.phases() == ["started"]
    assert verbs(await shop.view())[-3:] == ["state restore", "network apply", "state restore"]


async def test_an_old_copy_of_all_clusters_is_brought_forward(shop, file):
    old = [dict(world.cluster.networks) for world in shop.team.worlds]
    await shop.phase("stopped")
    await versions.backup(shop.account, shop.place, file, shop.journal)
    for world, networks in zip(shop.team.worlds, old, strict=True):
        world.cluster.networks = networks
    assert await shop.phases() == ["started"]
    back = await versions.restore(shop.account, shop.place, file, shop.journal)
    assert back.document.generation == 2
    assert await shop.phases() == ["stopped"]
    assert verbs(await shop.view()) == ["network connect", "network apply", "state restore"]


async def test_files_that_are_no_backup_of_this_network(shop, file, tmp_path):
    with pytest.raises(BadInput):
        await versions.restore(shop.account, shop.place, file, shop.journal)
    other = tmp_path / "other"
    other.write_bytes(b"\x80")
    with pytest.raises(RemoteProtocolError):
        await versions.restore(shop.account, shop.place, other, shop.journal)
    other.write_bytes(bytes(1 << 20))
    with pytest.raises(BadInput, match="larger"):
        await versions.restore(shop.account, shop.place, other, shop.journal)
    with pytest.raises(BadInput, match="there already"):
        await versions.backup(shop.account, shop.place, other, shop.journal)
    with pytest.raises(BadInput, match="cannot be written"):
        await versions.backup(shop.account, shop.place, other / "below", shop.journal)


async def test_one_cluster_leads_to_all_and_empty_ones_are_named(shop, file):
    await versions.backup(shop.account, shop.place, file, shop.journal)
    await shop.phase("stopped")
    some = shop.with_clusters("k1")
    await versions.restore(shop.account, some, file, shop.journal, go_back=True)
    assert await shop.phases() == ["started"], "all copies are equal"
    await shop.remove()
    with pytest.raises(Refused) as caught:
        await versions.restore(shop.account, some, file, shop.journal)
    assert caught.value.rule == "clusters"
    assert "k1, k2" in caught.value.what


async def test_a_program_does_the_same(shop, file):
    client = Client(shop.account)
    clusters = {name: str(choice) for name, choice in shop.place.clusters.items()}
    assert (await client.state_backup("shop", clusters, file)).document.generation == 1
    assert (await client.state_migrate("shop", clusters)).steps == ()
    assert (await client.state_restore("shop", clusters, file)).document.generation == 1
