# SPDX-License-Identifier: Apache-2.0
"""From one life of a pod to the Kubernetes objects that make it. Pure.

The objects are dictionaries ready for server-side apply, in the order in which they must be
applied. None says anything of replicas: the scaler owns that field.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trustedpods.manifests.check.seeds import Seeds, wanted_seeds
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import LocalProtocolError
from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.provider.cluster.objects import (
    named_egress,
    namespace,
    network_policy,
    ordinal_service,
    quota,
    secret,
    service,
    service_account,
    volume_claim,
)
from trustedpods.provider.cluster.objects.ingress.controller_policy import controller_rules
from trustedpods.provider.cluster.objects.ingress.ingress import ingresses
from trustedpods.provider.cluster.objects.named_egress import ResolverPlace
from trustedpods.provider.cluster.objects.names import POD_LABEL, KubeObject, of_pod
from trustedpods.provider.cluster.objects.network_nodes import ways
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import (
    BOOK_KEY,
    BOOK_SECRET,
    RELOAD_DUE_KEY,
    RENDERED_NOTE,
    digest_of,
    rendered_secrets,
)
from trustedpods.provider.cluster.objects.workload import (
    deployment,
    disruption_budget,
    pod_template,
    seeding,
    stateful_set,
)
from trustedpods.provider.cluster.objects.workload.volume_source import secret_provider_classes
from trustedpods.provider.core import egress
from trustedpods.provider.core.egress import NOT_THE_WORLD
from trustedpods.provider.core.generated.values import key_types
from trustedpods.provider.core.names import own_pods
from trustedpods.provider.core.networks.local_nodes import PublishedPort, WayEnd
from trustedpods.provider.core.networks.tunnels import tunnel_names
from trustedpods.provider.core.pod import ServiceExposure
from trustedpods.provider.core.volumes import growth
from trustedpods.provider.core.volumes.growth import StoredVolume
from trustedpods.provider.exposure.ingress_classes import ControllerClass


@dataclass(frozen=True, slots=True)
class PodLife:
    """One generation of a pod, complete: what `objects` needs and nothing else.

    `label` is the pod's host label, `secrets` maps a secret volume's name to its files, `images`
    a container's name to the reference that the node pulls (always by digest), and
    `ingress_from` lists the CIDRs that may connect to the pod: the node's, where the facade is;
    `closed_networks` those that it may never call, whatever its manifest asks for, and from which
    nobody calls its ports on nodes, but for `callers`. With `smtp` it may send mail, with `user_namespaces`
    its user ids are no other's outside of it; who asked for that keeps it.
    `kept` are addresses that its services had before.
    `pull` is what nodes say to the registry, where it asks them, `told` what containers are told of the pod.
    `resolver` is where the hosts that it may call by name are asked for, `sleep_place` where it asks for its
    own sleep. `publisher` is whose pod it is:
    the same publisher's are the pods that it may call, and that may call it. `seeds` are the first files
    of its volumes, and `copier` is what copies them. `volumes` are the claims that it has already, `book` is
    the address book of the nodes that it calls, `local` where those are that run in this cluster. `classes`
    are the ingress classes that the operator offers, `withheld` hosts under which no controller may serve it.
    `renewals` says of each secret with values that are made here which of them were made anew.
    """

    namespace: str
    label: str
    manifest: PodManifest
    secrets: Mapping[str, Mapping[str, bytes]]
    images: Mapping[str, str]
    ingress_from: tuple[str, ...] = ()
    closed_networks: tuple[str, ...] = NOT_THE_WORLD
    smtp: bool = False
    user_namespaces: bool = False
    callers: tuple[str, ...] = ()
    kept: Mapping[str, ServiceExposure] = field(default_factory=dict)
    pull: secret.PullLogin | None = None
    told: Mapping[str, str] = field(default_factory=dict)
    resolver: ResolverPlace | None = None
    sleep_place: tuple[str, int] | None = None
    publisher: Address | None = None
    seeds: Seeds = field(default_factory=dict)
    copier: seeding.Copier | None = None
    book: NetworkBook | None = None
    local: Mapping[PublishedPort, WayEnd] = field(default_factory=dict)
    volumes: Mapping[str, StoredVolume] = field(default_factory=dict)
    classes: Mapping[str, ControllerClass] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()
    renewals: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def objects(life: PodLife, *, beside: bool = False) -> list[KubeObject]:
    """Everything that makes the pod: namespace first, then what the workload needs, the workload, its book.

    *Beside* a version that has the services' addresses it is all but those.

    Raises LocalProtocolError where the life lacks an image or a secret that its manifest names.
    """
    _check_complete(life)
    life = with_book(life)
    spec = life.manifest.spec
    made = {name: life.renewals.get(name, {}) for name in life.manifest.made_secrets}
    return [
        namespace.namespace(life.namespace, life.label, _marks(life)),
        _labelled(life, quota.quota(life.manifest, sum(_requests(life).values()))),
        *(_labelled(life, policy) for policy in _policies(life)),
        _labelled(life, service_account.service_account()),
        *([] if life.pull is None else [_labelled(life, secret.pull_secret(life.pull))]),
        *(
            _labelled(
                life,
                secret.secret(
                    one.name,
                    life.secrets[one.name],
                    made.get(one.name),
                    key_types(one.secret.generate),
                ),
            )
            for one in spec.volumes
            if one.secret
        ),
        *(_labelled(life, one) for one in secret_provider_classes(spec.volumes)),
        *(_labelled(life, one) for one in seeding.seed_secrets(life.manifest, life.seeds)),
        *(_labelled(life, claim) for claim in _claims(life)),
        *([] if beside else services(life)),
        *([] if life.book is None else [_labelled(life, one) for one in ways.ways(life.book, life.local)]),
        *(_labelled(life, one) for one in ordinal_service.ordinal_services(life.manifest, life.label)),
        *(_labelled(life, one) for one in disruption_budget.disruption_budgets(life.manifest, life.label)),
        _labelled(life, _workload(life)),
        *kept_objects(life),
    ]


def with_book(life: PodLife) -> PodLife:
    """The life with its files as the book says them, and its callers with the nodes that it calls."""
    if life.book is None:
        return life
    files = rendered_secrets(life.manifest, life.secrets, life.book)
    return replace(life, secrets=files, callers=(*life.callers, *ways.callers(life.book)))


def kept_objects(life: PodLife, *, reload_due: bool = False) -> list[KubeObject]:
    """The newest book, beside what was made of it: it is the last of `objects`, there once all the rest is.

    With *reload_due* it says that running replicas have not been told of their new files: of a pod that
    calls nobody, whose certificates were renewed, it says nothing else.
    """
    if life.book is None and not life.manifest.certified:
        return []
    files = {} if life.book is None else {BOOK_KEY: encode(life.book)}
    files |= {RELOAD_DUE_KEY: b"yes"} if reload_due else {}
    return [_labelled(life, secret.secret(BOOK_SECRET, files))]


def claims(manifest: PodManifest, *, outliving: bool = False) -> list[tuple[str, int]]:
    """Names and MiB of the claims that hold a pod's data, whoever makes them; those alone that outlive it."""
    volumes = manifest.outliving_volumes if outliving else manifest.persistent_volumes
    if manifest.spec.workload == "stateful":
        return stateful_set.claims(volumes, manifest.claims_each)
    return [(name, volume.size) for name, volume in volumes.items()]


def services(life: PodLife) -> list[KubeObject]:
    """The Services and Ingresses alone: they go where the replicas are of whatever version serves."""
    parts = life.manifest.spec.services
    made = [service.service(part, life.label, life.kept.get(part.name)) for part in parts]
    return [_labelled(life, one) for one in (*made, *ingresses(parts, life.withheld))]


def _policies(life: PodLife) -> list[KubeObject]:
    manifest, network = life.manifest, life.manifest.spec.network
    made = network_policy.policies(
        manifest, life.ingress_from, life.closed_networks, life.callers, smtp=life.smtp
    )
    marked: dict[str, str] = {}
    if life.publisher is not None:
        marked = own_pods.marked(life.publisher, network)
        made += network_policy.own_pods_policies(
            manifest, own_pods.mark(life.publisher, manifest.metadata.name), marked
        )
    if rules := controller_rules(manifest, life.classes):
        made.append(network_policy.policy("ingress", {"policyTypes": ["Ingress"], "ingress": rules}))
    if network.by_name and life.resolver is not None:
        hosts = egress.named_hosts(network, smtp=life.smtp)
        made.append(named_egress.asks_policy(life.resolver, hosts, marked, _nodes(life)))
    if manifest.spec.scale.own_sleep and life.sleep_place is not None:
        made.append(network_policy.own_sleep_policy(*life.sleep_place))
    return made


def _nodes(life: PodLife) -> Mapping[str, str]:
    return {} if life.book is None else ways.names_of(life.book)


def _marks(life: PodLife) -> Mapping[str, str]:
    return {} if life.publisher is None else own_pods.marks(life.publisher, life.manifest)


def _check_complete(life: PodLife) -> None:
    spec = life.manifest.spec
    _check_places(life)
    wanted_images = {container.name for container in spec.all_containers}
    wanted_secrets = {volume.name for volume in spec.volumes if volume.secret}
    if missing := wanted_images - life.images.keys():
        raise LocalProtocolError(f"no image for container {min(missing)}")
    if missing := wanted_secrets - life.secrets.keys():
        raise LocalProtocolError(f"no files for secret volume {min(missing)}")
    if missing_seeds := set(wanted_seeds(life.manifest)) - life.seeds.keys():
        raise LocalProtocolError(f"no files for the seed of {missing_seeds.pop()[0]}")
    if any(volume.seed for volume in spec.volumes) and life.copier is None:
        raise LocalProtocolError("nothing that copies the seeds")
    for name in wanted_images:
        if "@sha256:" not in life.images[name]:
            raise LocalProtocolError(f"image of container {name} is not named by digest")


def _check_places(life: PodLife) -> None:
    """Whom the pod is to ask, and whose pods it is to call, is known."""
    spec = life.manifest.spec
    if spec.network.by_name and life.resolver is None:
        raise LocalProtocolError("no resolver for what the pod calls by name")
    if spec.scale.own_sleep and life.sleep_place is None:
        raise LocalProtocolError("nobody whom the pod can ask for its own sleep")
    if egress.named_pods(spec.network) and life.publisher is None:
        raise LocalProtocolError("nobody is named whose pods are called")
    if spec.network.calls and life.book is None:
        raise LocalProtocolError("no address book for the nodes that the pod calls")


def _labelled(life: PodLife, made: KubeObject) -> KubeObject:
    return of_pod(made, life.namespace, life.label)


def _requests(life: PodLife) -> dict[str, int]:
    return growth.requests(dict(claims(life.manifest)), life.volumes)


def _claims(life: PodLife) -> list[KubeObject]:
    """The claims that are applied: of a StatefulSet, which makes its own, those that are there."""
    asked, stateful = _requests(life), life.manifest.spec.workload == "stateful"
    made = []
    for name, volume in life.manifest.persistent_volumes.items():
        own = stateful_set.claims({name: volume}, life.manifest.claims_each) if stateful else [(name, 0)]
        made += [
            volume_claim.volume_claim(claim, asked[claim], volume)
            for claim, _ in own
            if not stateful or claim in life.volumes
        ]
    return made


def _workload(life: PodLife) -> KubeObject:
    by_name = life.manifest.spec.network.by_name
    resolver = life.resolver.address if by_name and life.resolver is not None else None
    template = pod_template.pod_template(
        life.manifest,
        life.images,
        {POD_LABEL: life.label},
        life.told,
        resolver=resolver,
        user_namespaces=life.user_namespaces or life.manifest.spec.host_users is False,
        pull_secret=None if life.pull is None else secret.PULL_SECRET,
        tunnelled={} if life.book is None else tunnel_names(life.manifest.spec.network, life.book.network),
    )
    if (digest := digest_of(life.manifest, life.secrets, "restart")) is not None:
        template["metadata"]["annotations"] = {RENDERED_NOTE: digest}
    if life.copier is not None:
        seeding.add_seeds(template["spec"], life.manifest, life.seeds, life.copier)
    if life.manifest.spec.workload == "stateful":
        return stateful_set.stateful_set(life.manifest, template)
    return deployment.deployment(life.manifest, template)
