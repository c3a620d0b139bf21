# SPDX-License-Identifier: Apache-2.0
"""A pod's account of its own."""

from tests.fakes.provider.pods import a_life
from tests.provider.cluster.strategies import by_kind, the_deployment


def test_it_is_the_replicas_own_and_gets_no_token():
    (account,) = by_kind(a_life(), "ServiceAccount")
    spec = the_deployment(a_life())["spec"]["template"]["spec"]
    assert account["metadata"]["name"] == spec["serviceAccountName"]
    assert account["automountServiceAccountToken"] is False
