# SPDX-License-Identifier: Apache-2.0
"""The client for S3 without a server: what is said then, and that no credentials are in it."""

import pytest

from tests.provider.facade.parts import free_port
from trustedpods.protocol.errors import BadInput, StoreFailure
from trustedpods.publisher.backups.places import open_store


@pytest.fixture
def store(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "marker-access")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "marker-secret")
    return open_store(f"s3+http://127.0.0.1:{free_port()}/shop/words")


def test_nobody_answers(store):
    with pytest.raises(StoreFailure) as error:
        store.put("pod/index/one", b"")
    assert error.value.what.startswith("cannot keep pod/index/one: ")
    assert "marker" not in f"{error.value} {error.value.hint}"


@pytest.mark.parametrize("name", ["../out", "", "a//b"])
def test_no_name_leads_out(store, name):
    for ask in (lambda: store.get(name, 1), lambda: store.put(name, b""), lambda: list(store.listed(name))):
        with pytest.raises(BadInput, match="no name of an object"):
            ask()
