# SPDX-License-Identifier: Apache-2.0
"""What is written as a place of backups: a folder or a bucket, never with a password."""

from pathlib import Path

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.backups.folder import FolderStore
from trustedpods.publisher.backups.places import MAX_PLACE, open_store, s3_place, whole_place


def test_a_folder_has_its_whole_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/anna")
    assert whole_place("kept") == str(tmp_path / "kept")
    assert whole_place("~/kept") == "/home/anna/kept"
    assert isinstance(open_store("kept"), FolderStore)
    assert Path(open_store("kept").where) == tmp_path / "kept"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("s3://shop", ("shop", "", None)),
        ("s3://shop/backups/of-anna/", ("shop", "backups/of-anna", None)),
        ("s3+https://s3.example.org/shop/b", ("shop", "b", "https://s3.example.org")),
        ("s3+http://[::1]:7070/shop", ("shop", "", "http://[::1]:7070")),
    ],
)
def test_buckets(text, found):
    place = s3_place(text)
    assert (place.bucket, place.prefix, place.endpoint) == found
    assert whole_place(text) == place.written == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\nb",
        "x" * (MAX_PLACE + 1),
        "https://example.org/shop",
        "s3://",
        "s3://Shop",
        "s3://shop/../other",
        "s3://shop/%2e%2e/other",
        "s3+https://host",
        "s3+https://host:port/shop",
        "s3+https:///shop",
    ],
)
def test_what_is_no_place(text):
    with pytest.raises(BadInput) as error:
        whole_place(text)
    assert error.value.where == "--store"


@pytest.mark.parametrize("text", ["s3+https://me:secret@host/shop", "s3://shop/b?key=secret", "s3://k@shop"])
def test_no_credentials_in_it(text):
    with pytest.raises(BadInput, match="credentials and options are not written") as error:
        whole_place(text)
    assert "secret" not in f"{error.value} {error.value.hint}"
