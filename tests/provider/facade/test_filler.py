# SPDX-License-Identifier: Apache-2.0
import pytest

from trustedpods.provider.facade import filler


@pytest.mark.parametrize(
    ("noted", "others"),
    [
        ((), False),  # by nobody, or by a version that did not say so
        (("me", "12.900"), False),
        (("other", "12.900"), True),
        (("other", "11.100"), False),  # a process that is gone
        (("me", "11.100"), False),
    ],
)
def test_a_haproxy_is_another_daemons_while_the_process_lives_that_it_filled(tmp_path, noted, others):
    hosts = tmp_path / "hosts.map"
    if noted:
        filler.note(hosts, *noted)
    assert filler.is_others(hosts, "me", "12.900") is others
