# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes refuses in a pod's namespace."""

from hypothesis import given

from tests.provider.cluster.strategies import by_kind, lives


@given(lives())
def test_only_restricted_pods_are_let_in(life):
    (namespace,) = by_kind(life, "Namespace")
    assert namespace["metadata"]["name"] == life.namespace
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
