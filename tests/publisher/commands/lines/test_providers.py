# SPDX-License-Identifier: Apache-2.0
"""Providers as a person reads them."""

from trustedpods.publisher.commands.lines.providers import provider_lines
from trustedpods.publisher.verbs.providers import ListOptions, list_providers


async def test_a_wide_list_of_providers_has_all_of_a_row(bench):
    async with bench.peer().serve():
        result = await list_providers(bench.account.market, ListOptions())
    header, row = provider_lines(result, wide=True)[:2]
    assert header.split()[-5:] == ["IN/GIB", "NOTICE", "HARDWARE", "ROW", "WRITTEN"]
    assert "sev-snp" in row
    assert "HARDWARE" not in provider_lines(result)[0]
