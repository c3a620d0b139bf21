# SPDX-License-Identifier: Apache-2.0
"""Who may do what in the guest's cluster, as its API server says, and who else has a say there."""

import json
import subprocess
from typing import Any

from tests.localnet.guest.configurations import one_cluster
from trustedpods.localnet.cluster import addons, binaries

Json = dict[str, Any]

USERS = {
    addons.DNS_USER: (),
    addons.STORAGE_USER: (),
    addons.NETPOL_USER: (),
    addons.PROVIDER_USER: (),
    addons.BALANCERS_USER: (),
    "system:kube-controller-manager": (),
    "system:kube-scheduler": (),
    "system:kube-proxy": (),
    "system:node:k1": ("system:nodes",),
    "system:serviceaccount:default:default": ("system:serviceaccounts", "system:serviceaccounts:default"),
}
"""Everybody with a certificate of the cluster's, but who is of system:masters, and a pod's account. Who has
neither is nobody: the API server takes no anonymous requests."""

WITH_A_SAY = (
    "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
    "mutatingadmissionpolicies", "customresourcedefinitions", "certificatesigningrequests",
)  # fmt: skip
"""Kinds by which somebody judges or rewrites what others ask for, or joins."""


class Rights:
    """The cluster's answers; *inside* enters the guest."""

    def __init__(self, inside: list[str]) -> None:
        config = one_cluster().path("pki", "admin.conf")
        self._kubectl = [*inside, str(binaries.kube()), "kubectl", f"--kubeconfig={config}"]

    def told(self) -> Json:
        """All of it, in an order that does not depend on the server's."""
        return {
            "bindings": self._bindings(),
            "rights": {user: self._of(user, groups) for user, groups in USERS.items()},
            "tokens": sorted(self._names("secrets", "-A")),
            "apis elsewhere": sorted(
                item["metadata"]["name"] for item in self._items("apiservices") if item["spec"].get("service")
            ),
            **{kind: sorted(self._names(kind)) for kind in WITH_A_SAY},
        }

    def _bindings(self) -> list[str]:
        """Each: its namespace, role and who has it."""
        found = []
        for item in [*self._items("clusterrolebindings"), *self._items("rolebindings", "-A")]:
            subjects = [_subject(one) for one in item.get("subjects", ())]
            place = item["metadata"].get("namespace", "*")
            found += [
                f"{place} {item['roleRef']['kind']} {item['roleRef']['name']} {one}" for one in subjects
            ]
        return sorted(found)

    def _of(self, user: str, groups: tuple[str, ...]) -> list[str]:
        """What the server lets this user do in a namespace of its own and everywhere."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": "default"},
        }
        who = [f"--as={user}", *(f"--as-group={group}" for group in groups)]
        status = self._asked(["create", "--validate=false", "-f", "-", *who], json.dumps(review))["status"]
        return sorted(_rule(one) for kind in ("resourceRules", "nonResourceRules") for one in status[kind])

    def _names(self, *words: str) -> list[str]:
        return [item["metadata"]["name"] for item in self._items(*words)]

    def _items(self, *words: str) -> list[Json]:
        items: list[Json] = self._asked(["get", *words])["items"]
        return items

    def _asked(self, words: list[str], text: str = "") -> Json:
        argv = [*self._kubectl, *words, "-o", "json"]
        done = subprocess.run(argv, input=text, check=False, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise SystemExit(f"kubectl {words}: {done.stderr}")
        answer: Json = json.loads(done.stdout)
        return answer


def _subject(one: Json) -> str:
    return ":".join([one["kind"], *([one["namespace"]] if "namespace" in one else []), one["name"]])


def _rule(one: Json) -> str:
    """On one line: verbs, then groups and what of them, then names where it is for some only."""
    groups = [group or "core" for group in one.get("apiGroups", ())]
    words = [one["verbs"], groups, one.get("resources", ()), one.get("resourceNames", ()),
             one.get("nonResourceURLs", ())]  # fmt: skip
    return " | ".join(",".join(sorted(word)) for word in words if word)
