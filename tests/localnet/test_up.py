# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A part that ends again and again ends the wait for it, with its words."""

import os
from pathlib import Path

import pytest
import trio

from trustedpods.localnet import folders
from trustedpods.localnet import up as up_module
from trustedpods.localnet.processes import supervisor
from trustedpods.localnet.processes.supervisor import Supervisor
from trustedpods.localnet.processes.units import Part, Step
from trustedpods.localnet.settings import Settings
from trustedpods.protocol.errors import NetworkFailure

WORDS = "inotify_init: too many open files"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(name="t", state=tmp_path, octet=0, clusters=())


async def waited(settings: Settings, *units: Part | Step) -> None:
    """`up`'s wait, beside the real supervisor."""
    with folders.exclusive(folders.supervisor_lock(settings.state), "a supervisor") as lock:
        os.write(lock, str(os.getpid()).encode())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Supervisor(settings.state, units, first_pause_s=0.01).run)
            while not supervisor.read_status(settings.state):
                await trio.sleep(0.01)
            try:
                await trio.to_thread.run_sync(up_module._wait, settings, 20.0, lambda _: None)
            finally:
                nursery.cancel_scope.cancel()


async def test_a_part_that_cannot_live_ends_the_wait_with_its_words(settings: Settings) -> None:
    part = Part("k1/kubelet", ("sh", "-c", f"echo {WORDS}; exit 7"), _never)
    with trio.fail_after(15), pytest.raises(NetworkFailure) as caught:
        await _unwrapped(waited, settings, part)
    assert str(caught.value).endswith(
        f"k1/kubelet has ended {up_module._TOO_MANY_ENDS} times, the last time: ended with code 7: {WORDS}"
    )
    assert caught.value.where == str(folders.log_file(settings.state, "k1/kubelet"))


async def test_a_part_that_ends_a_few_times_first_is_waited_for(settings: Settings) -> None:
    count = settings.state / "count"
    script = f'echo x >> {count}; [ "$(wc -l < {count})" -gt 3 ] && exec sleep 1000; exit 1'

    def lives() -> None:
        if not count.exists() or len(count.read_text().split()) <= 3:
            raise NetworkFailure("not yet")

    await waited(settings, Part("part", ("sh", "-c", script), lives))
    for status in supervisor.read_status(settings.state):
        process = up_module.processes.find(status.pid, status.started)
        assert process is not None
        await process.stop()


def _never() -> None:
    raise NetworkFailure("not yet")


async def _unwrapped(call, *arguments) -> None:
    try:
        await call(*arguments)
    except* NetworkFailure as group:
        raise group.exceptions[0] from None
