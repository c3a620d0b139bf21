# SPDX-License-Identifier: Apache-2.0
"""The account that `setup` makes; test_chart.py compares its rights with the chart's and a localnet's."""

import pytest
import yaml

from trustedpods.provider.setup import daemon_account


def test_the_file_has_all_that_is_needed_to_ask():
    tree = yaml.safe_load(daemon_account.kubeconfig_text("https://10.0.0.1:6443", b"PEM", b"a.b.c"))
    (context,), (cluster,), (user,) = tree["contexts"], tree["clusters"], tree["users"]
    assert tree["current-context"] == context["name"]
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"]}
    assert cluster["cluster"] == {
        "server": "https://10.0.0.1:6443", "certificate-authority-data": "UEVN",
    }  # fmt: skip
    assert user["user"] == {"token": "a.b.c"}
    assert daemon_account.is_accounts(yaml.safe_dump(tree))


@pytest.mark.parametrize("text", ["", "- one", "{", "current-context: default\n"])
def test_a_file_that_was_made_by_hand_is_known(text):
    assert not daemon_account.is_accounts(text)


def test_the_account_has_its_role_and_the_secret_is_the_accounts():
    role, binding, account, secret = daemon_account.account()
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": account["metadata"]["name"], "namespace": "kube-system"}
    ]
    named = secret["metadata"]
    assert named["annotations"] == {"kubernetes.io/service-account.name": account["metadata"]["name"]}
    assert named["namespace"] == account["metadata"]["namespace"]


def test_what_has_not_our_label_is_somebody_elses():
    for one in daemon_account.account():
        assert not daemon_account.is_others(one)
    assert daemon_account.is_others({"metadata": {"name": daemon_account.NAME}})
    assert daemon_account.is_others({"metadata": {"labels": {"app.kubernetes.io/managed-by": "Helm"}}})
