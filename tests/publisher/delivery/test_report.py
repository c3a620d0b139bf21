# SPDX-License-Identifier: Apache-2.0
"""What a person is told beside a deploy's addresses."""

import pytest

from trustedpods.publisher.delivery.report import local_note

HTTP = "http://pabc.k1.demo.localhost:18080/"
HTTPS = "https://pabc.k1.demo.localhost:18443/"


@pytest.mark.parametrize("urls", [(), ("https://shop.example.org/",), ("tcp://203.0.113.7:30123",)])
def test_addresses_that_everybody_resolves_need_no_word(urls):
    assert local_note(urls) is None


@pytest.mark.parametrize(("urls", "secure"), [([HTTP], False), ([HTTP, HTTPS], True)])
def test_those_of_a_localnet_do(urls, secure):
    told = local_note(urls)
    assert "`Host: pabc.k1.demo.localhost:18080`" in told
    assert ("curl -k" in told) is secure
