# SPDX-License-Identifier: Apache-2.0
"""A person at a signer, whom payments ask."""

import secrets

import pytest

from tests.fakes.chain.signer_device import SignerDevice


@pytest.fixture
def device(tmp_path):
    with SignerDevice(tmp_path / "signer.ipc", secrets.token_bytes(32)).running() as running:
        yield running
