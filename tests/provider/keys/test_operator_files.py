# SPDX-License-Identifier: Apache-2.0
"""Files of a change of keys: private, whole, never without a key, from wherever a kill left them."""

import os
from stat import S_IMODE

import pytest

from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import BadInput
from trustedpods.provider.keys import operator_files
from trustedpods.provider.keys.file import make_key, read_key
from trustedpods.provider.keys.operator_files import (
    FormerKey,
    change_of,
    forget_former,
    make_following,
    read_operator_keys,
    switch,
)

ME = os.geteuid(), os.getegid()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "operator.key"
    make_key(path, *ME)
    return path


def test_a_change_from_its_begin_to_its_end(path):
    old = read_key(path)
    assert change_of(path) is None
    make_following(path, *ME)
    make_following(path, *ME)
    new = read_operator_keys(path).following
    assert (read_key(path), change_of(path)) == (old, "made")
    switch(path, None)
    switch(path, None)
    assert read_operator_keys(path) == operator_files.OperatorKeys(new, None, FormerKey(address_of(old), old))
    assert change_of(path) == "switched"
    assert {S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    forget_former(path)
    forget_former(path)
    assert [file.name for file in path.parent.iterdir()] == ["operator.key"]
    assert read_key(path) == new


@pytest.mark.parametrize("place", ["link", "first sync", "replace", "second sync"])
def test_a_switch_that_is_killed_anywhere_leaves_a_key_and_goes_on(path, monkeypatch, place):
    old = read_key(path)
    make_following(path, *ME)
    new = read_operator_keys(path).following
    syncs = 0

    def killed(*_arguments, **_more):
        raise KeyboardInterrupt

    def synced(_folder):
        nonlocal syncs
        syncs += 1
        if place == ("first sync", "second sync")[syncs - 1]:
            killed()

    with monkeypatch.context() as patched:
        patched.setattr(operator_files, "sync_folder", synced)
        if place == "link":
            patched.setattr(os, "link", killed)
        if place == "replace":
            patched.setattr(type(path), "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            switch(path, None)
    found = read_operator_keys(path)
    assert (found.current, found.following, found.former) in [
        (old, new, None),
        (new, None, FormerKey(address_of(old), old)),
    ]
    switch(path, None)
    assert read_operator_keys(path) == operator_files.OperatorKeys(new, None, FormerKey(address_of(old), old))


def test_a_lost_key_is_known_by_its_address_alone(path):
    old = address_of(read_key(path))
    path.unlink()
    make_following(path, *ME)
    switch(path, old)
    found = read_operator_keys(path)
    assert found.former == FormerKey(old, None)
    assert found.current is not None
    assert S_IMODE(path.with_name("operator.key.former").stat().st_mode) == 0o600


def test_a_lost_key_that_nobody_knows_leaves_no_former_one(path):
    path.unlink()
    make_following(path, *ME)
    switch(path, None)
    assert read_operator_keys(path).former is None
    assert change_of(path) is None


def test_an_earlier_key_is_never_written_over(path):
    former = path.with_name("operator.key.former")
    make_key(former, *ME)
    kept = former.read_bytes()
    make_following(path, *ME)
    with pytest.raises(BadInput, match="earlier key's file"):
        switch(path, None)
    assert former.read_bytes() == kept


@pytest.mark.parametrize(
    ("ending", "text", "mode"),
    [
        ("", "no key", 0o600),
        (".next", "00", 0o600),
        (".former", "0x" + "zz" * 20, 0o600),
        (".former", "", 0o644),
    ],
)
def test_what_holds_no_key_is_never_taken_for_absent(path, ending, text, mode):
    file = path.with_name(path.name + ending)
    file.write_text(text)
    file.chmod(mode)
    with pytest.raises(BadInput) as caught:
        read_operator_keys(path)
    assert caught.value.where == str(file)
