# SPDX-License-Identifier: Apache-2.0
from trustedpods.publisher.state.files import write_whole


def test_a_file_is_replaced_and_is_its_users_alone(tmp_path):
    path = tmp_path / "state" / "pods" / "one.json"
    write_whole(path, b"before")
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [entry.name for entry in path.parent.iterdir()] == ["one.json"]
