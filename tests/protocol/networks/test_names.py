# SPDX-License-Identifier: Apache-2.0
"""Names of networks."""

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.networks import ReadBody
from trustedpods.protocol.networks.names import check_network_name, network_salt

GOOD = ["a", "shop", "a-1", "a" * 40]
BAD = ["", "A", "1a", "-a", "a-", "a" * 41, "a.b", "a/b", "a\n", "ä"]


@pytest.mark.parametrize("name", GOOD)
def test_good_names_travel(name):
    assert ReadBody(network=check_network_name(name)).network == name


@pytest.mark.parametrize("name", BAD)
def test_bad_names(name):
    with pytest.raises(BadInput):
        check_network_name(name)
    with pytest.raises(ValueError, match="network"):
        ReadBody(network=name)


def test_the_salt_is_frozen():
    assert network_salt("shop").hex() == "6aec48be5f227c91398fa708fc10befc592b95738b2decf1144548f803be85d9"
    assert len({network_salt(name) for name in GOOD}) == len(GOOD)
