# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""A lock belongs to an open file: to one of them, or to all that share it, until it is closed."""

import os
import subprocess
import threading

import pytest

from trustedpods.protocol.lockfile import open_lock, take, taken


@pytest.fixture
def opened(tmp_path):
    """Open the same lock file again and again; what is still open at the end is closed."""
    held: list[int] = []

    def another() -> int:
        held.append(open_lock(tmp_path / "lock"))
        return held[-1]

    another.held = held
    yield another
    for descriptor in held:
        os.close(descriptor)


def test_one_at_a_time_until_it_is_closed(opened):
    first, second = opened(), opened()
    assert taken(first)
    assert taken(first), "asking again loses nothing"
    assert not taken(second)
    os.close(first)
    opened.held.remove(first)
    assert taken(second)


def test_whoever_takes_it_waits_until_it_is_closed(opened):
    first, second = opened(), opened()
    take(first)
    waiter = threading.Thread(target=take, args=(second,))
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive()
    os.close(first)
    opened.held.remove(first)
    waiter.join(10)
    assert not waiter.is_alive()
    assert not taken(opened())


def test_shared_by_many_or_held_by_one(opened):
    one, two, alone = opened(), opened(), opened()
    assert taken(one, shared=True)
    assert taken(two, shared=True)
    assert not taken(alone)


def test_nobody_shares_what_one_holds(opened):
    alone, other = opened(), opened()
    assert taken(alone)
    assert not taken(other, shared=True)


def test_the_file_is_its_users_and_no_command_inherits_it(opened, tmp_path):
    descriptor = opened()
    assert taken(descriptor)
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    assert not os.get_inheritable(descriptor)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as started:
        try:
            os.close(descriptor)
            opened.held.remove(descriptor)
            assert taken(opened())
        finally:
            started.kill()


def test_a_file_that_cannot_be_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        open_lock(tmp_path / "no folder" / "lock")


def test_what_is_no_lock_is_not_called_held(tmp_path):
    descriptor = open_lock(tmp_path / "lock")
    os.close(descriptor)
    with pytest.raises(OSError, match="descriptor"):
        taken(descriptor)
