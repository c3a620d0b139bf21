# SPDX-License-Identifier: Apache-2.0
from stat import S_IMODE

import pytest

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.acme.files import OrderFiles, seen_state
from trustedpods.provider.core.certificates.types import RenewalState

STATE = RenewalState(failures=2, wait_until=7, orders=(5,), problem="no answer")


@pytest.fixture
def files(tmp_path) -> OrderFiles:
    return OrderFiles(tmp_path / "acme")


def test_keys_are_made_once_and_are_nobody_elses(files):
    account, order = files.account_key(), files.order_key()
    assert files.account_key().private_numbers() == account.private_numbers()
    assert files.order_key().private_numbers() == order.private_numbers()
    renewed = files.new_order_key()
    assert renewed.private_numbers() != order.private_numbers()
    assert files.order_key().private_numbers() == renewed.private_numbers()
    assert {S_IMODE(path.stat().st_mode) for path in files.folder.iterdir()} == {0o600}
    assert S_IMODE(files.folder.stat().st_mode) == 0o700


def test_where_things_stand_is_kept(files):
    assert files.state() == RenewalState()
    files.keep_state(STATE)
    assert files.state() == STATE
    assert seen_state(files.folder) == STATE


def test_a_certificate_is_kept_with_its_key(files):
    assert files.certificate() == b""
    files.keep_certificate(b"chain and key")
    assert files.certificate() == b"chain and key"
    assert S_IMODE(files.certificate_file.stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["state.json", "account.key", "order.key"])
def test_a_damaged_file_is_told_and_never_replaced(files, name):
    files.keep_state(STATE)
    (files.folder / name).write_bytes(b"{damaged")
    read = {"state.json": files.state, "account.key": files.account_key, "order.key": files.order_key}[name]
    with pytest.raises(NoContext, match=name) as told:
        read()
    assert "remove it" in str(told.value.hint)
    assert (files.folder / name).read_bytes() == b"{damaged"


def test_who_only_looks_is_not_stopped_by_damage(files):
    files.keep_state(STATE)
    (files.folder / "state.json").write_bytes(b"[]")
    assert seen_state(files.folder) is None


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoContext, match="cannot be"):
        OrderFiles(tmp_path / "file" / "acme").keep_state(STATE)
