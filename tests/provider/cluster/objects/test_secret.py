# SPDX-License-Identifier: Apache-2.0
"""What a pod finds in its secret volumes."""

from base64 import b64decode

from hypothesis import given

from tests.provider.cluster.strategies import by_kind, lives


@given(lives())
def test_secrets_arrive_whole(life):
    for made in by_kind(life, "Secret"):
        files = {name: b64decode(data) for name, data in made["data"].items()}
        assert files == life.secrets[made["metadata"]["name"]]
