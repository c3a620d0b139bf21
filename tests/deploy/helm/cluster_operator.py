# SPDX-License-Identifier: Apache-2.0
"""Somebody with Helm, kubectl and rights in a cluster, who brings a provider into it and takes it away."""

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.deploy.helm.building import chart
from tests.live.admin.test_setup import sign_and_send
from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Publisher
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.localnet.cluster import binaries
from trustedpods.localnet.cluster import files as cluster_files
from trustedpods.localnet.market import accounts
from trustedpods.protocol.errors import ExitCode

NAMESPACE, RELEASE = "trusted-pods", "provider"
DOMAIN = "k1.example.test"
REPOSITORY = "docker.io/local/trusted-pods-provider"
IN_DAEMON = f"exec {RELEASE}-0 -c provider -- trustedpods-provider"
SETUP = f"{IN_DAEMON} setup --user root --yes -o json"
ROLLOUT = f"rollout status statefulset/{RELEASE} --timeout=240s"
COMMAND_S = 300
APART = "the cluster's network keeps tenants apart"
"""What the daemon logs once its own two pods have shown it."""

KEPT = {"namespace/trusted-pods", f"persistentvolumeclaim/{RELEASE}-books"}
"""What Helm leaves by design: the namespace, and the books with the operator's key."""

MAY_BE_KEPT = {"namespace/trustedpods-system"}
"""The daemon makes it for pods of its own."""


@dataclass(frozen=True)
class Operator:
    """They count what they type; the owner's wallet is elsewhere."""

    node: LiveLocalnet
    folder: Path
    typed: list[str]

    def type(self, program: str, words: str, code: int = 0) -> str:
        self.typed.append(f"{program} {words}")
        kubeconfig = str(self.node.kubeconfig())
        argv = {
            "helm": [str(chart.helm()), "--kubeconfig", kubeconfig],
            "kubectl": [str(binaries.kube()), "kubectl", "--kubeconfig", kubeconfig],
        }[program]
        done = subprocess.run(
            [*argv, "--namespace", NAMESPACE, *words.split()],
            cwd=self.folder, capture_output=True, text=True, check=False, timeout=COMMAND_S,
            env={**os.environ, "HOME": str(self.folder)},
        )  # fmt: skip
        assert done.returncode == code, f"{self.typed[-1]}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def enter_the_market(self) -> None:
        """Behind the install: wait for the pod, let the owner sign, see that nothing is left."""
        self.type("kubectl", ROLLOUT)
        left = json.loads(self.type("kubectl", SETUP, ExitCode.NO_CONTEXT))
        owner = accounts.read_key(accounts.owner_key(self.node.cluster()))
        for one in left["transactions"]:
            sign_and_send(self.node.settings.rpc, owner, one)
        assert json.loads(self.type("kubectl", SETUP))["complete"]

    def keeps_tenants_apart(self) -> None:
        """Wait until the daemon takes a second publisher."""
        words = ("logs", "-n", NAMESPACE, f"{RELEASE}-0", "-c", "provider")
        until("it is shown that tenants are apart", lambda: APART in self.node.kubectl(*words))

    def uid(self) -> str:
        """Of the provider's pod; empty where there is none."""
        words = ("get", "pod", f"{RELEASE}-0", "-n", NAMESPACE, "--ignore-not-found")
        return self.node.kubectl(*words, "-o", "jsonpath={.metadata.uid}")

    def pods_end(self) -> None:
        """Wait until the release has none."""
        until(
            "its pods are gone", lambda: not self.node.kubectl("get", "pods", "-n", NAMESPACE, "-o", "name")
        )


def publisher_of(node: LiveLocalnet, folder: Path) -> Publisher:
    """A new one, with an account and a folder of their own."""
    folder.mkdir()
    return Publisher(node, Bank(node).new_account(folder), folder)


def serve(publisher: Publisher, name: str) -> Deployed:
    """A pod of theirs, seen to answer."""
    pod = publisher.deploy(publisher.manifest("hello", name), "--trust", "open")
    assert answers(publisher.market, pod)
    return pod


def answers(node: LiveLocalnet, pod: Deployed) -> bool:
    """Whether the pod itself does, through the facade."""
    answer = web.get(pod.url, "/cgi-bin/whoami", at=f"{node.cluster().node_ip}:80")
    return "hello from a trusted pod" in answer.text


def values(node: LiveLocalnet, run_folder: Path) -> dict[str, Any]:
    """What this operator tells the chart."""
    cluster = node.cluster()
    return {
        "image": {"repository": REPOSITORY, "pullPolicy": "Never"},
        "domain": DOMAIN,
        "market": {"rpc": node.settings.rpc},
        "owner": accounts.address(accounts.owner_key(cluster)),
        "prices": {"coreHour": "1", "gibHour": "1"},
        "publicAddress": cluster.node_ip,
        "storage": {"size": "1Gi"},
        "runFolder": str(run_folder),
        "terminationLogs": {"kubelet": str(cluster.path("kubelet"))},
    }


def of_cluster(node: LiveLocalnet) -> set[str]:
    """What a release could leave, by kind and name."""
    kinds = (
        "namespaces,clusterroles,clusterrolebindings,statefulsets,daemonsets,configmaps,serviceaccounts,pvc"
    )
    names = node.kubectl("get", kinds, "--all-namespaces", "-o", "name").split()
    ours = (one for one in names if not one.endswith(("/default", "/kube-root-ca.crt")))
    return {re.sub(r"^([a-z]+)[^/]*", r"\1", one) for one in ours}


def bring_image(node: LiveLocalnet, archive: Path) -> None:
    """Onto the node, as no registry has it."""
    socket = cluster_files.containerd_socket(node.cluster())
    words = ["ctr", "--address", str(socket), "--namespace", "k8s.io", "images", "import", str(archive)]
    subprocess.run(words, check=True, capture_output=True)
