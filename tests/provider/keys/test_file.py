# SPDX-License-Identifier: Apache-2.0
import os
import threading

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.keys.file import make_key, read_key, read_key_of

IDS = (os.geteuid(), os.getegid())


def test_a_key_is_made_once_for_one_user(tmp_path):
    path = tmp_path / "operator.key"
    assert make_key(path, *IDS)
    first = read_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert not make_key(path, *IDS)
    assert read_key(path) == first
    assert make_key(path.with_name("other"), *IDS)
    assert read_key(path.with_name("other")) != first
    assert len(list(tmp_path.iterdir())) == 2


def test_nothing_is_ever_replaced(tmp_path):
    path = tmp_path / "operator.key"
    path.symlink_to(tmp_path / "nowhere")
    assert not make_key(path, *IDS)
    assert path.is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_of_several_that_make_it_at_once_one_does(tmp_path):
    path, made = tmp_path / "operator.key", []
    threads = [threading.Thread(target=lambda: made.append(make_key(path, *IDS))) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(made) == [False] * 7 + [True]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("text", ["", "07" * 31, "07" * 33, "xy" * 32])
def test_what_is_no_key(tmp_path, text):
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(BadInput, match="not a key"):
        read_key(path)
    assert read_key_of(None) is None
