# SPDX-License-Identifier: Apache-2.0
"""References to other nodes of a network in a pod's files: `${node.NAME.SERVICE.FIELD}`. Pure.

`${node.NAME.identity.FORM}` is what a node is known by. While nobody has confirmed that, each line that has
it is left out: half a line about a node would be worse than none. `${node.*.identity.ca}` are the CA
certificates of all nodes that the pod calls, which of those of linked owners no file can name.

Only files that the manifest names as `rendered` are looked at, and in them nothing but what begins with
`${node.`; `$${node.` stands for that text itself. Why it is this and no template engine:
docs/adr/0007-references-in-files.md.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.sealing.public_keys import IDENTITY_FORMS, identity_text
from trustedpods.protocol.sealing.trust_anchors import ANCHOR_FORM, trust_anchor

if TYPE_CHECKING:
    # messages cost validate a third of its time
    from trustedpods.manifests.spec.pod import PodManifest
    from trustedpods.protocol.networks.book import BookEntry, NetworkBook

    _ByService = Mapping[tuple[str, str], list[BookEntry]]

MAX_RENDERED: Final = 256 * 1024
"""Bytes of one rendered file: references become longer, and a Kubernetes Secret ends at 1 MiB."""

MAX_SHOWN: Final = 80
"""Letters of a wrong reference that its error repeats."""

MAX_REFERENCES: Final = 4096
"""In one file: each costs a look-up while everybody else at the provider waits."""

_TOO_MANY: Final = f"more than {MAX_REFERENCES} references to nodes in one file"

FIELDS: Final = ("name", "port", "address", "publishedPort", "url")

STABLE_FIELDS: Final = frozenset({"name", "port"})
"""Those that stay as they are when the node moves."""

IDENTITY: Final = "identity"
"""Stands in the place of a service where what the whole node is known by is meant."""

NODE_FORMS: Final = (*IDENTITY_FORMS, ANCHOR_FORM)
"""In which files have what a node is known by."""

ALL_NODES: Final = "*"
"""Stands in the place of a node where the CA certificates of all that are called are meant."""

_OURS: Final = re.compile(r"(\$?)\$\{node\.([^}\n]{0,256})(\}?)")
_FORM: Final = re.compile(
    r"(?P<node>\*|[a-z0-9][-a-z0-9]{0,62})\.(?P<service>[a-z0-9][-a-z0-9]{0,62})(?::(?P<port>[0-9]{1,5}))?"
    r"\.(?P<field>[A-Za-z0-9]{1,16})"
)


@dataclass(frozen=True, slots=True)
class Reference:
    """One reference; `port` tells ports of a service apart, `at` counts letters before it.

    `service` is `IDENTITY` and `field` one of its forms where what the node is known by is meant. `node` is
    `ALL_NODES` where the CA certificates of all are.
    """

    node: str
    service: str
    port: int | None
    field: str
    at: int


class WrongReference(BadInput):
    """A text that begins as a reference and is none, or names what is not there; `at` counts letters."""

    def __init__(self, what: str, at: int) -> None:
        super().__init__(what)
        self.at = at


def references(text: str) -> Iterator[Reference]:
    """All references in *text*, in order; WrongReference where something begins as one and is none.

    It is raised too where there are more than `MAX_REFERENCES`, those included that stand for themselves.
    """
    for number, found in enumerate(_OURS.finditer(text)):
        if number == MAX_REFERENCES:
            raise WrongReference(_TOO_MANY, found.start())
        if not found[1]:
            yield _reference(found)


def followed(
    manifest: "PodManifest", secrets: Mapping[str, Mapping[str, bytes]]
) -> dict[str, Literal["reload", "restart"]]:
    """The nodes whose moves change files of a pod, and what replicas then do; a restart covers a reload.

    *secrets* are files by volume and name. `name` and `port` stay, so they change nothing.
    """
    found: dict[str, Literal["reload", "restart"]] = {}
    for volume in manifest.spec.volumes:
        for name in volume.secret.rendered if volume.secret else ():
            assert volume.secret is not None
            for one in references(secrets[volume.name][name].decode()):
                changing = [] if one.field in STABLE_FIELDS else [one.node]
                for node in manifest.spec.network.nodes if one.node == ALL_NODES else changing:
                    if found.get(node) != "restart":
                        found[node] = volume.secret.on_change
    return found


def rendered(text: str, book: "NetworkBook") -> str:
    """*text* with the values of *book* for its references.

    `name` and `port` are stable; `address`, `publishedPort` and `url` are what the far provider publishes,
    and while nobody has confirmed that, the stable ones in their place. WrongReference for what the book
    does not have; BadInput where the text would be larger than `MAX_RENDERED`.
    """
    values = _Values(book)
    whole, unknown = _filled(text, values)
    return _filled(_without_lines(text, unknown), values)[0] if unknown else whole


class _Values:
    """A book by what references name, each part of it made at most once."""

    def __init__(self, book: "NetworkBook") -> None:
        self.book = book
        self.by_service: dict[tuple[str, str], list[BookEntry]] = defaultdict(list)
        self.identities: dict[str, bytes] = {}
        """By node; empty while nobody has confirmed it."""
        for entry in book.entries:
            self.by_service[entry.node, entry.service].append(entry)
            self.identities[entry.node] = self.identities.get(entry.node) or entry.identity

    @cached_property
    def anchors(self) -> dict[str, str]:
        """The CA certificate of each node that has one.

        Nodes that say they have one key share a certificate that stands for all of them: of two that are
        called alike programs would take any, and somebody could so put himself before another.
        """
        sharing: dict[bytes, list[str]] = defaultdict(list)
        for node, identity in self.identities.items():
            sharing[identity].append(self.book.name_of(node))
        made = {one: trust_anchor(one, tuple(names)) for one, names in sharing.items() if one}
        return {node: made[one] for node, one in self.identities.items() if made.get(one)}

    @cached_property
    def all_anchors(self) -> str:
        """Those of all nodes, each once."""
        return "\n".join(dict.fromkeys(self.anchors.values()))


def _without_lines(text: str, places: Sequence[int]) -> str:
    """*text* without the lines in which any of *places* is; those are in order."""
    made, end = [], 0
    for at in places:
        begin = text.rfind("\n", 0, at) + 1
        if begin >= end:  # else it is in the line that was left out last
            made.append(text[end:begin])
            end = text.find("\n", at) + 1 or len(text)
    return "".join([*made, text[end:]])


def _filled(text: str, values: _Values) -> tuple[str, list[int]]:
    """*text* with all values, and where identities are asked for that nobody has confirmed."""
    made, unknown, size, end = [], list[int](), 0, 0
    for number, found in enumerate(_OURS.finditer(text)):
        if number == MAX_REFERENCES:
            raise WrongReference(_TOO_MANY, found.start())
        value = found[0][1:] if found[1] else _value(_reference(found), values)
        if value is None:
            unknown.append(found.start())
            value = ""
        made += [text[end : found.start()], value]
        size, end = size + sum(len(piece.encode()) for piece in made[-2:]), found.end()
        _check_size(size)
    made.append(text[end:])
    _check_size(size + len(made[-1].encode()))
    return "".join(made), unknown


def _check_size(size: int) -> None:
    if size > MAX_RENDERED:
        raise BadInput(f"rendered it has more than {MAX_RENDERED // 1024} KiB")


def _reference(found: re.Match[str]) -> Reference:
    form = _FORM.fullmatch(found[2]) if found[3] else None
    of_node = form is not None and form["service"] == IDENTITY and form["field"] in NODE_FORMS
    of_all = of_node and form is not None and form["field"] == ANCHOR_FORM
    fits = form is not None and ((of_node and form["port"] is None) or form["field"] in FIELDS)
    if form is None or not fits or (form["node"] == ALL_NODES and not of_all):
        text = (
            f"{found[0][:MAX_SHOWN]!r} is no reference: write ${{node.NAME.SERVICE.FIELD}} with one of "
            f"{', '.join(FIELDS)}, or ${{node.NAME.identity.FORM}} with one of {', '.join(NODE_FORMS)}"
        )
        raise WrongReference(f"{text}; $${{node. stands for the text itself", found.start())
    port = None if form["port"] is None else int(form["port"])
    return Reference(form["node"], form["service"], port, form["field"], found.start())


def _value(reference: Reference, values: _Values) -> str | None:
    if reference.node == ALL_NODES:
        return values.all_anchors or None
    if reference.field in NODE_FORMS:
        return _identity(reference, values)
    return _VALUES[reference.field](_entry(reference, values.by_service), values.book)


def _identity(reference: Reference, values: _Values) -> str | None:
    """What the node is known by; None while nobody has confirmed it, or where it has no such form."""
    known = values.identities.get(reference.node)
    if known is None:
        raise WrongReference(f"the pod calls no node {reference.node!r}", reference.at)
    if reference.field == ANCHOR_FORM:
        return values.anchors.get(reference.node)
    return identity_text(known, reference.field) or None


def _entry(reference: Reference, by_service: "_ByService") -> "BookEntry":
    """The entry that is meant; of a port that is there for TCP and UDP the one of TCP."""
    found = by_service.get((reference.node, reference.service), [])
    if not found:
        if all(node != reference.node for node, _ in by_service):
            raise WrongReference(f"the pod calls no node {reference.node!r}", reference.at)
        text = f"node {reference.node!r} has no exposed service {reference.service!r}"
        raise WrongReference(text, reference.at)
    found = [entry for entry in found if reference.port in (None, entry.port)]
    if len({entry.port for entry in found}) != 1:
        what = f"{reference.service!r} of node {reference.node!r}"
        text = f"{what} has no port {reference.port}" if not found else f"{what} has several ports"
        raise WrongReference(f"{text}: write {reference.service}:PORT", reference.at)
    return found[0]


def _name(entry: "BookEntry", book: "NetworkBook") -> str:
    return book.name_of(entry.node)


def _url(entry: "BookEntry", book: "NetworkBook") -> str:
    return entry.url or f"{entry.transport.lower()}://{_name(entry, book)}:{entry.port}"


_VALUES: Final[dict[str, "Callable[[BookEntry, NetworkBook], str]"]] = {
    "name": _name,
    "port": lambda entry, _: str(entry.port),
    "address": lambda entry, book: entry.address or _name(entry, book),
    "publishedPort": lambda entry, _: str(entry.published or entry.port),
    "url": _url,
}
