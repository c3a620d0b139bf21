# SPDX-License-Identifier: Apache-2.0
"""All that the provider's processes make is its user's alone, also where the umask takes nothing away."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.fakes.provider.caller import ADMIN_SOCKET, serving
from tests.fakes.provider.world import World
from trustedpods.contracts.client.transactions.journals import FolderJournal
from trustedpods.contracts.client.transactions.outbox import Outbox
from trustedpods.contracts.client.transactions.permit_lock import permit_turn
from trustedpods.provider.facade.activator.activator import Activator, ActivatorConfig
from trustedpods.provider.facade.activator.socket_activation import KeptSockets
from trustedpods.provider.facade.haproxy.config import Bind, FacadeConfig
from trustedpods.provider.facade.haproxy.files import install
from trustedpods.provider.facade.pools import Pools
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.store import Vault, open_store

POOLS = Pools(1, 1, 1)


@pytest.fixture
def folder(tmp_path_factory) -> Iterator[Path]:
    """A folder in which everything may be made in every mode; with a short name, for sockets."""
    made = tmp_path_factory.mktemp("m")
    before = os.umask(0)
    try:
        yield made
    finally:
        os.umask(before)


def open_to_others(folder: Path) -> dict[str, str]:
    """Each thing below *folder* that is not its user's alone, with its mode."""
    found = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        allowed = 0o700 if stat.S_ISDIR(mode) else 0o600
        if stat.S_IMODE(mode) != allowed:
            found[str(path.relative_to(folder))] = oct(stat.S_IMODE(mode))
    return found


async def test_what_a_daemon_makes_while_it_serves_a_pod(folder):
    world = World(folder)
    world.tmpfs().chmod(0o700)  # the machine's, not the daemon's
    async with serving(world) as _:
        names = {path.name for path in folder.rglob("*")}
        assert {"store.db", "store.db-wal", "store.db-shm", "store.db.lock"} <= names
        assert {"wake.sock", Path(ADMIN_SOCKET).name, "generations"} <= names
        assert any(name.endswith(".sealed") for name in names)
        assert open_to_others(folder) == {}


async def test_what_the_parts_beside_it_make(folder):
    facade = FacadeConfig(
        binds=(Bind("127.0.0.1:8080"),),
        pools=POOLS,
        tcp_binds=(Bind("127.0.0.1:9000"),),
        tls_binds=(Bind("127.0.0.1:8443"),),
        tls_dir=folder / "run" / "tls",
        runtime_socket=folder / "run" / "facade" / "runtime.sock",
        map_file=folder / "var" / "maps" / "hosts.map",
        activator_dir=folder / "run" / "slots",
        pages_dir=folder / "var" / "pages",
    )
    BootKeys.load_or_create(folder / "run" / "deep" / "keys", require_tmpfs=False)
    install(facade, folder / "etc" / "deep" / "haproxy.cfg")
    outbox = Outbox(FolderJournal(folder / "var" / "deep" / "transactions"), "one")
    with outbox.exclusive():
        outbox.save()
    async with permit_turn(trio.Lock(), folder / "var" / "deeper" / "permits" / "one.lock"):
        pass
    config = ActivatorConfig(facade.activator_dir, POOLS, folder / "nobody.sock")
    async with trio.open_nursery() as nursery:
        await nursery.start(lambda **how: Activator(config, KeptSockets({})).serve(stop=trio.Event(), **how))
        assert len([path for path in folder.rglob("*") if path.is_socket()]) == POOLS.total
        assert open_to_others(folder) == {}
        nursery.cancel_scope.cancel()


async def test_an_older_daemons_books_are_closed_to_others(folder):
    path = folder / "books" / "store.db"
    async with open_store(path, Vault(b"k" * 32)):
        beside = [path.with_name(path.name + end) for end in ("", "-wal", "-shm")]
        for file in beside:
            file.chmod(0o644)
        # A kill leaves all three behind: they are copied while the first daemon has them open.
        copies = folder / "copies"
        copies.mkdir(0o700)
        for file in beside:
            (copies / file.name).write_bytes(file.read_bytes())
            (copies / file.name).chmod(0o644)
    async with open_store(copies / "store.db", Vault(b"k" * 32)):
        assert {file.name for file in beside} <= {file.name for file in copies.iterdir()}
        assert open_to_others(copies) == {}
