# SPDX-License-Identifier: Apache-2.0
"""What a pod asks for and a provider does not have, one sentence each."""

import pytest

from tests.fakes.provider.caller import ASK, volume_ask
from trustedpods.protocol.capability_gaps import asks_for_more, gaps, holds, label_gaps
from trustedpods.protocol.messages.admission import AdmitBody, IngressAsk
from trustedpods.protocol.messages.capabilities import (
    Capabilities,
    IngressClass,
    LabelRule,
    NodeSize,
    Placement,
    StorageClass,
    Tolerated,
)

BARE = Capabilities(
    storage_classes=[],
    default_class=False,
    ingress_classes=[],
    csi_drivers=[],
    udp=False,
    node_port=False,
    load_balancer=False,
    names=False,
    smtp=False,
    own_sleep=False,
    user_namespaces=False,
    node_labels={},
    largest_node=NodeSize(cpu_milli=100, memory_mib=64, storage_mib=256),
)
LABELS = {"disk": ["hdd", "ssd"], "cores": ["8", "16"], "host": []}


INGRESS = IngressAsk(class_name="traefik", annotations=["t.io/a", "t.io/b"])


def test_annotations_are_those_of_the_class() -> None:
    has = BARE.model_copy(update={"ingress_classes": [IngressClass(name="traefik", annotations=["t.io/b"])]})
    assert gaps(ask(ingresses=[INGRESS]), has) == ["ingress class traefik takes no annotation t.io/a"]


def ask(**changes: object) -> AdmitBody:
    return ASK.model_copy(update=changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"volumes": [volume_ask("fast")]}, "no storage class fast; there is none by name"),
        ({"volumes": [volume_ask(None)]}, "no default storage class; by name there is none"),
        ({"services": {"dns": "udp", "more": "udp"}}, "no service can have expose: udp"),
        ({"services": {"a": "nodePort"}}, "no service can have expose: nodePort"),
        ({"services": {"a": "loadBalancer"}}, "no service can have expose: loadBalancer"),
        ({"csi_drivers": ["csi.one"]}, "no CSI driver csi.one; there is none"),
        ({"ingresses": [INGRESS]}, "no ingress class traefik; there is none"),
        ({"names": True}, "no host can be called by name: it has no resolver for pods"),
        ({"smtp": True}, "no pod can send mail: TCP ports 25, 465, 587 are closed to the outside"),
        ({"own_sleep": True}, "no pod can ask for its own sleep"),
        ({"user_namespaces": True}, "no pod has user ids of its own (hostUsers: false)"),
        ({"placement": Placement(selector={"disk": "ssd"})}, "no node with disk=ssd; advertised: none"),
        ({"cpu_milli": 101}, "cpu: 101m wanted by one replica, the largest node has 100m"),
        ({"memory_mib": 65}, "memory: 65 MiB wanted by one replica, the largest node has 64 MiB"),
        ({"scratch_mib": 257}, "disk: 257 MiB wanted by one replica, the largest node has 256 MiB"),
    ],
)
def test_each_thing_that_is_lacking_is_said_once(changes: dict[str, object], words: str) -> None:
    assert gaps(ask(**changes), BARE) == [words]
    size = not {"cpu_milli", "memory_mib", "scratch_mib"} & changes.keys()
    assert asks_for_more(ask(**changes)) is size


def test_all_gaps_are_said_at_once_and_none_where_all_is_there() -> None:
    wanted = ask(
        volumes=[volume_ask("fast"), volume_ask(None)],
        services={"web": "http", "dns": "udp"},
        names=True,
        placement=Placement(selector={"disk": "ssd"}),
    )
    assert len(gaps(wanted, BARE)) == 5
    has = BARE.model_copy(
        update={
            "storage_classes": [StorageClass(name="fast", grows=True, access_modes=["ReadWriteOnce"])],
            "default_class": True,
            "udp": True,
            "names": True,
            "node_labels": LABELS,
        }
    )
    assert gaps(wanted, has) == []
    assert gaps(ask(), BARE) == []
    assert not asks_for_more(ask())
    shared = ask(volumes=[volume_ask("fast", "ReadWriteMany"), volume_ask("fast", "ReadWriteMany")])
    assert gaps(shared, has) == ["storage class fast has no ReadWriteMany; it has ReadWriteOnce"]


@pytest.mark.parametrize(
    ("placement", "lacking"),
    [
        (Placement(selector={"disk": "ssd"}), None),
        (Placement(selector={"disk": "tape"}), "no node with disk=tape"),
        (Placement(selector={"host": "n1"}), None),
        (Placement(selector={"kubernetes.io/arch": "amd64"}), None),
        (Placement(selector={"kubernetes.io/arch": "arm64"}), "no node with kubernetes.io/arch=arm64"),
        (Placement(apart=["kubernetes.io/hostname"]), None),
        (Placement(apart=["rack"]), "label rack is not advertised"),
        (Placement(spread=["rack"]), "label rack is not advertised"),
        (
            Placement(tolerated=[Tolerated(key="t", operator="Exists", value="", effect=None)]),
            "label t is not",
        ),
        (Placement(terms=[[LabelRule(key="cores", operator="Gt", values=["8"])]]), None),
        (Placement(terms=[[LabelRule(key="cores", operator="Gt", values=["16"])]]), "no node as affinity"),
        (
            Placement(terms=[[LabelRule(key="rack", operator="DoesNotExist", values=[])]]),
            "no node as affinity",
        ),
        (Placement(terms=[[LabelRule(key="disk", operator="NotIn", values=["ssd", "hdd"])]]), None),
        (
            Placement(
                terms=[
                    [LabelRule(key="rack", operator="Exists", values=[])],
                    [LabelRule(key="disk", operator="Exists", values=[])],
                ]
            ),
            None,
        ),
    ],
)
def test_only_advertised_labels_can_be_asked_for(placement: Placement, lacking: str | None) -> None:
    found = label_gaps(placement, LABELS)
    if lacking is None:
        assert found == []
        return
    (text,) = found
    assert lacking in text
    assert text.endswith("advertised: cores=8|16, disk=hdd|ssd, host=*")


@pytest.mark.parametrize(
    ("operator", "values", "value", "held"),
    [
        ("In", ["a", "b"], "b", True),
        ("In", ["a"], None, False),
        ("NotIn", ["a"], "b", True),
        ("NotIn", ["a"], None, True),
        ("NotIn", ["a"], "a", False),
        ("Exists", [], "", True),
        ("Exists", [], None, False),
        ("DoesNotExist", [], None, True),
        ("DoesNotExist", [], "a", False),
        ("Gt", ["8"], "16", True),
        ("Gt", ["8"], "8", False),
        ("Lt", ["8"], "7", True),
        ("Lt", ["8"], "x", False),
        ("Lt", ["8"], None, False),
    ],
)
def test_an_operator_means_what_it_means_to_the_scheduler(operator, values, value, held) -> None:
    rule = LabelRule(key="k", operator=operator, values=values)
    assert holds(rule, {} if value is None else {"k": value}) is held
