# SPDX-License-Identifier: Apache-2.0
"""A Network file as an apply takes it: its nodes with their pods, and what those are made of."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from trustedpods.manifests.check.nodes import place_in
from trustedpods.manifests.network.load import LoadedNetwork, load_network
from trustedpods.manifests.network.model import NetworkMember
from trustedpods.manifests.network.order import waits_for
from trustedpods.manifests.rendering import WrongReference, followed, rendered
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput, TrustedPodsError
from trustedpods.protocol.ids import Address, parse_address
from trustedpods.protocol.networks.book import BookEntry
from trustedpods.protocol.networks.members import MemberCard, NetworkName, Role, check_card
from trustedpods.publisher.core.adjust import adjusted
from trustedpods.publisher.core.cost import shape_of
from trustedpods.publisher.core.networks.book import book_for, check_identities, external_entries
from trustedpods.publisher.core.networks.owners.missing import MissingNode
from trustedpods.publisher.core.networks.plan import WantedMember, pod_name
from trustedpods.publisher.core.networks.planning.placing import FileNode
from trustedpods.publisher.core.networks.probes import NodeProbe, node_probes
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.pod import Pod, pod_of

MAX_CARD_FILE = 8 * 1024
"""A card has 1.3 KB, and a third more as text."""

CARD_HEAD = "trustedpods-card:"

_SECRETS_TAG = b"trusted-pods/network-node-secrets/v1\0"
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**14, 8, 1
"""16 MiB and some 50 ms for a guess: viewers of the network see the digest of secrets that may be short."""


@dataclass(frozen=True, slots=True)
class NetworkFile:
    """What the file wants of which network. `pods` are called as `pod_name` says, by the node's name.

    `external` are the book's entries of nodes outside any cluster, by their names; of those in `linked`, by
    their owners, a link to the owner says where they are. `others` are all nodes of open links, `missing`
    those of `linked` of which their owners tell no more. `shared` are the bytes of shared files,
    `probes` what shows that the network works.
    """

    network: NetworkName
    nodes: tuple[FileNode, ...]
    members: tuple[WantedMember, ...] | None
    pods: Mapping[str, Pod]
    external: Mapping[str, Sequence[BookEntry]] = field(default_factory=dict)
    linked: Mapping[str, Address] = field(default_factory=dict)
    others: Mapping[str, Sequence[BookEntry]] = field(default_factory=dict)
    missing: Mapping[str, MissingNode] = field(default_factory=dict)
    shared: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    probes: tuple[NodeProbe, ...] = ()

    @property
    def hashes(self) -> dict[str, bytes]:
        """SHA-256 of each shared file."""
        return {name: hashlib.sha256(data).digest() for name, data in self.shared.items()}

    @property
    def callers_of_missing(self) -> dict[str, MissingNode]:
        """The nodes that call a missing one, each with the first of those."""
        called = {name: pod.manifest.spec.network.nodes for name, pod in self.pods.items()}
        found = {name: [one for one in nodes if one in self.missing] for name, nodes in called.items()}
        return {name: self.missing[gone[0]] for name, gone in found.items() if gone}

    @property
    def manifests(self) -> dict[str, PodManifest]:
        """The manifest of each node's pod, by the node's name."""
        return {name: pod.manifest for name, pod in self.pods.items()}


def read_network(file: Path, cache: Path, who: Address, opening: ImageOpening | None = None) -> NetworkFile:
    """Read *file* with all that it names; the founder is *who* where it names none.

    Raises `BadInput`, before anybody was asked but registries, and `NetworkFailure` for an image of one.
    """
    loaded = load_network(file, partial(pod_of, cache=cache, opening=opening or ImageOpening()))
    metadata, spec = loaded.manifest.metadata, loaded.manifest.spec
    founder = who if metadata.founder is None else parse_address(metadata.founder)
    network = NetworkName(founder, metadata.name)
    pods = {name: _named(pod, pod_name(network, name)) for name, pod in loaded.pods.items()}
    linked = {
        one.name: parse_address(one.owner)
        for one in spec.external_nodes
        if one.owner is not None and not one.endpoints
    }
    external = {
        one.name: external_entries(one.name, one.endpoints, one.identity)
        for one in spec.external_nodes
        if one.name not in linked
    }
    known = {
        name: pod for name, pod in pods.items() if not linked.keys() & set(pod.manifest.spec.network.nodes)
    }
    check_references(network.name, pods, known, external)
    return NetworkFile(
        network,
        tuple(_file_nodes(loaded, pods)),
        None if spec.members is None else tuple(_members(loaded, spec.members)),
        pods,
        external,
        linked,
        shared={one.name: (loaded.path.parent / one.file).read_bytes() for one in spec.shared_files},
        probes=tuple(node_probes(spec)),
    )


def check_references(
    network: str,
    pods: Mapping[str, Pod],
    asked: Iterable[str],
    external: Mapping[str, Sequence[BookEntry]],
    gone: Collection[str] = (),
) -> None:
    """That nodes that *asked* ones call are there, and have what files say of them. Raises BadInput.

    Of those of *external* that are *gone*, as their owner left, files may say what is not known any more.
    """
    manifests = {name: pod.manifest for name, pod in pods.items()}
    for name in asked:
        pod = pods[name]
        given = book_for(name, network, manifests, external=external)
        for volume in pod.manifest.spec.volumes if given is not None else ():
            for file in volume.secret.rendered if volume.secret else ():
                text = pod.loaded.secrets[volume.name][file].decode()
                try:
                    assert given is not None
                    rendered(text, given)
                    check_identities(text, manifests, external, gone)
                except WrongReference as wrong:
                    place = f"node {name}: {volume.name}/{file}:{place_in(text, wrong.at)}"
                    raise BadInput(wrong.what, where=place) from None


def _file_nodes(loaded: LoadedNetwork[Pod], pods: Mapping[str, Pod]) -> Iterator[FileNode]:
    waiting = waits_for(loaded.manifest.spec.nodes)
    for node in loaded.nodes:
        where, pod = node.entry.cluster or node.entry.placement, pods[node.name]
        assert where is not None  # the model has one of them
        yield FileNode(
            name=node.name,
            entry=node.entry.name,
            where=where,
            digest=digest_of(pod),
            shape=shape_of(pod.manifest, pod.image_bytes),
            after=waiting[node.name],
            stops=pod.manifest.stops_for_update,
            follows=followed(pod.manifest, pod.loaded.secrets),
        )


def digest_of(pod: Pod) -> bytes:
    """SHA-256 of a pod's manifest, of its images' digests, and of its secrets by a slow hash.

    Where an image file lies does not count, what is in it does. Secrets are salted by the rest.
    """
    manifest = pod.manifest.model_dump(mode="json", by_alias=True)
    spec = manifest["spec"]
    for container in [*spec["initContainers"], *spec["containers"]]:
        container["image"] = pod.digests[container["name"]]
    told = hashlib.sha256(_json(manifest)).digest()
    secrets = _json(
        {name: {key: data.hex() for key, data in files.items()} for name, files in pod.loaded.secrets.items()}
    )
    if not pod.loaded.secrets:
        return told
    slow = hashlib.scrypt(secrets, salt=_SECRETS_TAG + told, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
    return hmac.new(slow, told, hashlib.sha256).digest()


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def card_text(card: MemberCard) -> str:
    """A card as a line of text that can be sent to an owner by mail."""
    return CARD_HEAD + base64.b64encode(encode(card)).decode()


def read_card(file: Path, member: Address, where: str) -> MemberCard:
    """The card in *file*, which must be *member*'s. Raises BadInput."""
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_CARD_FILE + 1).decode("ascii").strip()
        if len(text) > MAX_CARD_FILE or not text.startswith(CARD_HEAD):
            raise BadInput("it does not begin as a card does")
        card = decode(base64.b64decode(text.removeprefix(CARD_HEAD), validate=True), MemberCard)
        check_card(card)
    except OSError as error:
        raise BadInput(f"cannot read {file}: {error.strerror}", where=where) from None
    except (UnicodeDecodeError, binascii.Error):
        raise BadInput(f"{file} is no member's card", where=where, hint=_WRITE) from None
    except TrustedPodsError as error:
        raise BadInput(f"{file} is no member's card: {error.what}", where=where, hint=_WRITE) from None
    if parse_address(f"0x{card.member.hex()}") != member:
        raise BadInput(f"{file} is the card of 0x{card.member.hex()}, not of {member}", where=where)
    return card


_WRITE = "the member writes one: `trustedpods network card > FILE`"


def _members(loaded: LoadedNetwork[Pod], members: list[NetworkMember]) -> list[WantedMember]:
    found = []
    for index, one in enumerate(members):
        address, card = parse_address(one.address), None
        if one.card is not None:
            where = loaded.place(("spec", "members", index, "card"))
            card = read_card(loaded.path.parent / one.card, address, where)
        found.append(WantedMember(address, Role(one.role), card))
    return found


def _named(pod: Pod, name: str) -> Pod:
    return replace(pod, manifest=adjusted(pod.loaded, name, None))
