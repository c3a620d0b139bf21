# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.publisher.core.dialling import Failures
from trustedpods.publisher.market.dial_failures import FILE_NAME, keep_failures, known_failures

KNOWN = {"0xabc/1": Failures(3, 1_700_000_000, "/ip4/192.0.2.1/tcp/1")}


def test_they_come_back(tmp_path):
    keep_failures(tmp_path / "folder", KNOWN)
    assert known_failures(tmp_path / "folder") == KNOWN


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'{"a": 1}', b'{"a": [1]}', b'{"a": [true, 1, "x"]}', b'{"a": [0, 1, "x"]}', b"\xff"],
)
def test_a_damaged_record_is_none(tmp_path, raw):
    (tmp_path / FILE_NAME).write_bytes(raw)
    assert known_failures(tmp_path) == {}


def test_where_nothing_can_be_kept_it_does_without(tmp_path):
    (tmp_path / "file").write_text("")
    keep_failures(tmp_path / "file" / "folder", KNOWN)
    assert known_failures(tmp_path / "file" / "folder") == {}
