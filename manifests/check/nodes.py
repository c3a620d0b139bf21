# SPDX-License-Identifier: Apache-2.0
"""Other nodes of the pod's network: which of them it calls, and references to them in its files."""

from collections.abc import Iterator, Mapping

from trustedpods.manifests.check.names import known
from trustedpods.manifests.problem import Location, Problem
from trustedpods.manifests.rendering import ALL_NODES, WrongReference, references
from trustedpods.manifests.spec.container import Container
from trustedpods.manifests.spec.egress import Network
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.manifests.spec.volume import Volume

PEER = "peer-"
"""Beginning of the names of Services by which a pod reaches other nodes: `peer-NODE`."""


def node_problems(manifest: PodManifest) -> Iterator[Problem]:
    """What does not fit in the nodes that are called, and in what is rendered of them."""
    nodes = manifest.spec.network.nodes
    for index, node in enumerate(nodes):
        if node in nodes[:index]:
            yield Problem(("spec", "network", "nodes", index), f"the node {node!r} is listed twice")
    peers = {PEER + node for node in nodes}
    for index, service in enumerate(manifest.spec.services):
        if service.name in peers or (manifest.spec.network.linked_nodes and service.name.startswith(PEER)):
            text = f"the name {service.name!r} is kept for the way to another node: give the service another"
            yield Problem(("spec", "services", index, "name"), text)
    yield from _reload_problems(manifest)
    yield from _identity_problems(manifest)
    for index, volume in enumerate(manifest.spec.volumes):
        if volume.secret is not None and volume.secret.changing:
            yield from _changing(("spec", "volumes", index, "secret"), volume, manifest)


def _identity_problems(manifest: PodManifest) -> Iterator[Problem]:
    for index, volume in enumerate(manifest.spec.volumes):
        for file, made in volume.secret.generate.items() if volume.secret else ():
            if made.identity and (volume.name, file) != manifest.identity:
                at = ("spec", "volumes", index, "secret", "generate", file, "identity")
                yield Problem(at, "a pod is known by one key: another one has `identity` already")


def _reload_problems(manifest: PodManifest) -> Iterator[Problem]:
    reload, running = manifest.spec.reload, manifest.spec.running_containers
    if reload is None:
        return
    at: Location = ("spec", "reload")
    reloaded = {
        one.name
        for one in manifest.spec.volumes
        if one.secret is not None and one.secret.on_change == "reload"
    }
    if not reloaded:
        yield Problem(at, "no secret has `onChange: reload`, so nothing would be taken anew")
        return
    if reload.container is None and len(running) > 1:
        yield Problem(at, f"`container` says in which of them{known(one.name for one in running)}")
        return
    told = told_container(manifest)
    if told is None:
        yield Problem(
            (*at, "container"), f"no container {reload.container!r} runs{known(one.name for one in running)}"
        )
    elif not reloaded & {mount.name for mount in told.volume_mounts}:
        yield Problem(
            at, f"{told.name!r} mounts no secret with `onChange: reload`, so it has nothing to take anew"
        )


def told_container(manifest: PodManifest) -> Container | None:
    """The container that `spec.reload` is about; None where there is none."""
    reload, running = manifest.spec.reload, manifest.spec.running_containers
    if reload is None:
        return None
    if reload.container is None:
        return running[0] if len(running) == 1 else None
    return next((one for one in running if one.name == reload.container), None)


def _changing(at: Location, volume: Volume, manifest: PodManifest) -> Iterator[Problem]:
    assert volume.secret is not None
    files = volume.secret.files
    for number, name in enumerate(volume.secret.rendered):
        if name not in files:
            yield Problem((*at, "rendered", number), f"no file {name!r} is there{known(files)}")
    if volume.secret.on_change == "reload" and (why := _never_changes(volume.name, manifest)):
        yield Problem((*at, "onChange"), f"{why} never changes while a replica runs: let it restart")


def _never_changes(volume: str, manifest: PodManifest) -> str | None:
    """How a container sees the volume so that nothing replaces it below a process."""
    for container in manifest.spec.all_containers:
        if any(mount.name == volume and mount.sub_path is not None for mount in container.volume_mounts):
            return f"what {container.name!r} mounts by subPath"
        sources = [one.value_from.secret_key_ref for one in container.env if one.value_from is not None]
        if any(source is not None and source.name == volume for source in sources):
            return f"a variable of {container.name!r}"
        if any(source.secret_ref.name == volume for source in container.env_from):
            return f"a variable of {container.name!r}"
    return None


def reference_problems(
    manifest: PodManifest, secrets: Mapping[str, Mapping[str, bytes]]
) -> Iterator[Problem]:
    """What is wrong with the references in *secrets*, files by volume and key."""
    network = manifest.spec.network
    for index, volume in enumerate(manifest.spec.volumes):
        files = secrets.get(volume.name, {})
        for number, name in enumerate(volume.secret.rendered if volume.secret else ()):
            at: Location = ("spec", "volumes", index, "secret", "rendered", number)
            if name in files:
                yield from _of_file(at, name, files[name], network)


def _of_file(at: Location, name: str, content: bytes, network: Network) -> Iterator[Problem]:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        yield Problem(at, f"{name} is not UTF-8 text, and so cannot be rendered")
        return
    try:
        for reference in references(text):
            if said := _stranger(reference.node, network):
                yield Problem(at, f"{name}:{place_in(text, reference.at)}: {said}")
    except WrongReference as wrong:
        yield Problem(at, f"{name}:{place_in(text, wrong.at)}: {wrong.what}")


def _stranger(node: str, network: Network) -> str | None:
    """Why a file has nothing of *node*; None where the pod calls it."""
    if node != ALL_NODES:
        said = f"{node!r} is no node that the pod calls{known(network.nodes)}; see spec.network.nodes"
        return None if node in network.nodes else said
    if network.calls:
        return None
    return "the pod calls no nodes, so it trusts none; see spec.network.nodes and linkedNodes"


def place_in(text: str, at: int) -> str:
    """LINE:COLUMN of a letter, both from 1."""
    return f"{text.count(chr(10), 0, at) + 1}:{at - text.rfind(chr(10), 0, at)}"
