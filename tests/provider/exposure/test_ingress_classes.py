# SPDX-License-Identifier: Apache-2.0
"""What an operator may offer of ingress classes, and what is said where it is not offered."""

import pytest
from pydantic import ValidationError

from trustedpods.manifests.spec.service import Service
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import IngressAsk
from trustedpods.provider.exposure.addresses import ADDRESSED, no_address
from trustedpods.provider.exposure.ingress_classes import ControllerClass, IngressSection, check_ingresses

ONE = {"namespace": "ingress", "pod_labels": {"app.kubernetes.io/name": "traefik"}}


def test_room_is_for_what_is_offered():
    assert IngressSection().room == 0
    assert IngressSection(classes={"traefik": ControllerClass(**ONE)}, services=3).room == 3


def test_class_sealed_offers_none():
    section = IngressSection(classes={"traefik": ControllerClass(**ONE)})
    with pytest.raises(ValueError, match="reads the Secrets of all pods: class sealed offers none"):
        section.check_class("sealed")
    section.check_class("open")
    IngressSection().check_class("sealed")


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "Ingress"},
        {"namespace": None},
        {"pod_labels": {}},
        {"pod_labels": {"app": "a b"}},
        {"annotations": ["a b"]},
        {"address": "192.0.2.1"},
    ],
)
def test_mistakes_are_refused(changes):
    with pytest.raises(ValidationError):
        ControllerClass(**(ONE | changes))
    with pytest.raises(ValidationError):
        IngressSection(classes={"Traefik": ControllerClass(**ONE)})


def test_what_is_not_offered_is_said_with_what_is():
    offered = {"traefik": ControllerClass(**ONE, annotations=["t.io/a"])}
    check_ingresses([IngressAsk(class_name="traefik", annotations=["t.io/a"])], offered)
    for ask, words in (
        (IngressAsk(class_name="nginx", annotations=[]), "nginx is not offered here; there is traefik"),
        (IngressAsk(class_name="traefik", annotations=["t.io/b"]), "t.io/b is not taken .* there is t.io/a"),
    ):
        with pytest.raises(Refused, match=words):
            check_ingresses([ask], offered)


def test_who_gives_addresses_is_named_where_none_comes():
    ports = [{"port": 80}]
    served = {"hosts": ["a.example.org"], "ingress": {"className": "traefik"}}
    for word, more, rule in (("loadBalancer", {}, "load-balancer"), ("ingress", served, "ingress")):
        part = Service.model_validate({"name": "a", "expose": word, "ports": ports, **more})
        assert word in ADDRESSED
        assert no_address(part).rule == rule
