# SPDX-License-Identifier: Apache-2.0
"""A provider's state on a disk of 64 MiB that fills up while pods live: what is here goes on to its end."""

import os
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.live.clients import daemons, web
from tests.live.clients.publisher import Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import label_of, remains, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.folders import replace_file
from trustedpods.localnet.toml_text import toml_text
from trustedpods.protocol.errors import ExitCode

pytestmark = [pytest.mark.live, pytest.mark.soak]

DISK_MIB = 64
RESERVE_MIB = 16
LEAST_MIB = 8
"""Of a disk this small; SQLite's write-ahead log takes up to 4 MiB of it."""

FILLING = "others"


@contextmanager
def small_state(market: LiveLocalnet) -> Iterator[Path]:
    """The daemon's books and spool lie on a tmpfs of 64 MiB while the block runs."""
    cluster = market.cluster()
    folder, config = cluster.path("provider"), cluster.path("provider.toml")
    ours = config.read_bytes()
    settings = tomllib.loads(ours.decode())
    settings["store"] |= {"reserve_mib": RESERVE_MIB, "min_free_mib": LEAST_MIB}
    with _without_daemon(market):
        aside = _set_aside(folder)
        options = f"size={DISK_MIB}m,mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "trustedpods-test", folder], check=True)
        _put_back(aside, folder)
        replace_file(config, toml_text(settings).encode())
    try:
        yield folder
    finally:
        (folder / FILLING).unlink(missing_ok=True)
        with _without_daemon(market):
            aside = _set_aside(folder)
            subprocess.run(["umount", folder], check=True)
            for old in _books(folder):
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            _put_back(aside, folder)
            replace_file(config, ours)


@contextmanager
def _without_daemon(market: LiveLocalnet) -> Iterator[None]:
    """No daemon runs during the block, and another one after it."""
    supervisor = market.supervisor()
    os.kill(supervisor, signal.SIGSTOP)
    try:
        killed = daemons.kill(market)
        until("the daemon holds no file any more", lambda: _has_ended(killed))
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)
    daemons.until_back(market, killed)


def _has_ended(pid: int) -> bool:
    """With all its threads: what is left is only what its parent has not asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state in "ZX" and len(list(Path(f"/proc/{pid}/task").iterdir())) <= 1
    except (FileNotFoundError, ProcessLookupError):
        return True


def _books(folder: Path) -> list[Path]:
    """Everything but the reserve, which a daemon makes anew by its own settings, and others' blobs.

    These lie under the small disk meanwhile: they alone may be more than it holds.
    """
    return [one for one in folder.iterdir() if one.name not in ("reserve", "spool")]


def _set_aside(folder: Path) -> Path:
    (folder / "reserve").unlink(missing_ok=True)
    aside = folder.with_name("provider-aside")
    aside.mkdir(mode=0o700)
    subprocess.run(["cp", "-a", *_books(folder), aside], check=True)
    return aside


def _put_back(aside: Path, folder: Path) -> None:
    subprocess.run(["cp", "-a", f"{aside}/.", folder], check=True)
    shutil.rmtree(aside)


def fill(disk: Path) -> None:
    """Another program takes what is left, to the last block."""
    with (disk / FILLING).open("ab", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def awake(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


def test_a_pod_lives_and_ends_on_a_disk_that_is_full(market: LiveLocalnet, publisher: Publisher) -> None:
    bank = Bank(market)
    with small_state(market) as disk:
        daemon = market.pid(daemons.part())
        running = publisher.deploy(publisher.manifest("hello", unique("running"), awake))
        asleep = publisher.deploy(publisher.manifest("hello", unique("asleep")))
        until_zero(market, asleep.namespace)

        fill(disk)
        until("the reserve is spent", lambda: not (disk / "reserve").exists())
        refused = publisher.manifest("hello", unique("refused"))
        said = publisher.run("deploy", refused.name, code=ExitCode.REFUSED).json
        assert said["error"]["rule"] == "disk"
        assert "money" not in said
        assert web.get(asleep.url).status == 200
        _is_claimed(bank, running.channel)
        publisher.run("delete", asleep.name)
        publisher.gone(asleep.name)
        until("nothing is left", lambda: not remains(market, label_of(asleep.url)))
        assert publisher.run("bill", asleep.name).json["problems"] == []

        fill(disk)
        assert web.get(running.url).status == 200
        assert publisher.run("status", running.name).json["phase"] == "serving"

        (disk / FILLING).unlink()
        until("the reserve is there again", (disk / "reserve").exists)
        another = publisher.deploy(publisher.manifest("hello", unique("another")))
        assert web.get(another.url).status == 200
        _is_claimed(bank, running.channel)
        publisher.run("delete", running.name)
        publisher.gone(running.name)
        assert publisher.run("audit", running.name, "--manifest", running.file.name).json["holds"] is True
        assert publisher.run("bill", running.name).json["problems"] == []
        assert market.pid(daemons.part()) == daemon, "the daemon ended meanwhile"
    assert "Traceback" not in market.log(daemons.part()).read_text()


def _is_claimed(bank: Bank, channel: str) -> None:
    """Claims go on: a later second is settled."""
    before = bank.channel(channel)
    assert before is not None

    def later() -> bool:
        now = bank.channel(channel)
        return now is not None and now.up_to > before.up_to

    until("it is claimed again", later)
