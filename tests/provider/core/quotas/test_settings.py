# SPDX-License-Identifier: Apache-2.0
import pytest
from pydantic import ValidationError

from trustedpods.provider.core.quotas.publisher_quota import PublisherQuota
from trustedpods.provider.core.quotas.settings import EgressSection, PublishersSection


def test_limits_are_told_in_words_and_nothing_is_one_by_itself():
    assert EgressSection().limits == ""
    assert EgressSection(pod_mbit=100).limits == "100 Mbit/s"
    assert EgressSection(pod_connections=50).limits == "50 new connections a second"
    assert EgressSection(pod_mbit=1, pod_connections=5).limits == "1 Mbit/s and 5 new connections a second"


@pytest.mark.parametrize("key", ["pod_mbit", "pod_connections"])
@pytest.mark.parametrize("wrong", [0, -1, 1.5, "10", 1_000_001])
def test_a_limit_is_a_whole_number_in_bounds(key, wrong):
    with pytest.raises(ValidationError):
        EgressSection(**{key: wrong})


def test_limits_without_an_agent_are_refused_and_no_limits_need_none():
    EgressSection().check_agent(None)
    EgressSection(pod_mbit=1).check_agent("/run/traffic.sock")
    for limited in (EgressSection(pod_mbit=1), EgressSection(pod_connections=1)):
        with pytest.raises(ValueError, match=r"cluster\.traffic_socket"):
            limited.check_agent(None)


def test_the_quota_is_that_of_the_file():
    assert PublishersSection(pods=2, memory_mib=7).quota == PublisherQuota(2, None, 7)
