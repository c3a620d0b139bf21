# SPDX-License-Identifier: Apache-2.0
"""What the provider adds to a pod before its objects are made: generated values, and what copies seeds."""

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import trio

from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import NoContext, Refused
from trustedpods.protocol.images.descriptors import parse_config, parse_manifest
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.provider.cluster.image_registry import ImageRegistry
from trustedpods.provider.cluster.isolation_proof import busybox
from trustedpods.provider.cluster.isolation_proof.probe_image import MANIFEST, ProbeImage, probe_image
from trustedpods.provider.cluster.objects.names import of_pod
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import (
    BOOK_KEY,
    BOOK_SECRET,
    RELOAD_DUE_KEY,
)
from trustedpods.provider.cluster.objects.pod_objects import PodLife
from trustedpods.provider.cluster.objects.secret import earlier_name, is_earlier, secret
from trustedpods.provider.cluster.objects.workload.seeding import Copier
from trustedpods.provider.core.generated.certificates import any_due, with_certificates
from trustedpods.provider.core.generated.key_pairs import private_key, public_key
from trustedpods.provider.core.generated.values import MadeFiles, with_generated
from trustedpods.provider.core.networks.book import as_it_counts, fits, newer
from trustedpods.provider.core.networks.local_nodes import PublishedPort, WayEnd
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import OpenBundle


async def with_additions(
    doors: Doors, record: PodRecord, opened: OpenBundle, life: PodLife, book: NetworkBook | None = None
) -> PodLife:
    """The *life* with all that only this provider can give it, and *book* or the newest that it was given."""
    made = await _generated(doors, record, life)
    files = {name: dict(held) for name, held in life.secrets.items()}
    for name, one in made.items():
        files[name] |= one.files
    renewals = {name: one.renewals for name, one in made.items()}
    if book is None and life.book is not None:
        kept = await kept_book(doors, record, life.namespace)
        of_this_version = kept is not None and fits(kept, life.manifest.spec.network)
        book = newer(kept if of_this_version else None, as_it_counts(life.book, doors.now()))
    local = {} if book is None else await _local_ends(doors, record, life.namespace)
    copier = await seed_copier(doors.registry, record, opened)
    return replace(life, secrets=files, renewals=renewals, copier=copier, book=book, local=local)


async def _local_ends(doors: Doors, record: PodRecord, namespace: str) -> dict[PublishedPort, WayEnd]:
    """Where ways of the pod lead to replicas of this cluster: objects made anew go on leading there."""
    kept = [
        way for place in {namespace, record.namespace} for way in await doors.cluster.ways(place) if way.local
    ]
    return {way.published: way.end for way in kept}


async def kept_book(doors: Doors, record: PodRecord, namespace: str) -> NetworkBook | None:
    """The newest address book that was brought to the pod after its bundle; None where there is none."""
    newest = None
    for place in dict.fromkeys((namespace, record.namespace)):
        files = await doors.cluster.secret_files(place, BOOK_SECRET)
        if BOOK_KEY in files:
            newest = newer(newest, as_it_counts(decode(files[BOOK_KEY], NetworkBook), doors.now()))
    return newest


async def reload_due(doors: Doors, namespace: str) -> bool:
    """Whether replicas have not been told yet of files that were changed below them."""
    return RELOAD_DUE_KEY in await doors.cluster.secret_files(namespace, BOOK_SECRET)


async def _generated(doors: Doors, record: PodRecord, life: PodLife) -> dict[str, MadeFiles]:
    """The values that are made here, of each secret that has some.

    What was made once stands in the pod's Secrets and nowhere else: first those of the version that was
    proven last, then of the one in its place, then of a start that was interrupted.
    """
    made = {}
    for volume in life.manifest.spec.volumes:
        if volume.secret is not None and volume.secret.generate:
            earlier = earlier_name(volume.name, record.version)
            places = [(record.namespace, earlier), (record.namespace, volume.name)]
            if record.namespace != life.namespace:
                places.append((life.namespace, volume.name))
            kept = [await doors.cluster.made_files(*place) for place in places]
            wanted, random = volume.secret.generate, secrets.token_bytes
            values = with_generated(wanted, kept, random)
            made[volume.name] = with_certificates(wanted, values, kept, random, doors.now())
    return made


async def identity_of(doors: Doors, record: PodRecord, manifest: PodManifest) -> bytes:
    """The public half of the key that the pod is known by; empty where it has none."""
    if manifest.identity is None or manifest.identity_key is None:
        return b""
    volume, file = manifest.identity
    files = await doors.cluster.secret_files(record.namespace, volume)
    key = private_key(files.get(file, b""), manifest.identity_key.type)
    return b"" if key is None else public_key(key)


async def certificates_due(doors: Doors, record: PodRecord, manifest: PodManifest) -> bool:
    """Whether a certificate that was made for the pod is to be renewed."""
    for volume in manifest.spec.volumes:
        if volume.secret is not None and volume.secret.certificates:
            held = await doors.cluster.made_files(record.namespace, volume.name)
            if any_due(volume.secret.generate, held, doors.now()):
                return True
    return False


async def keep_earlier_values(doors: Doors, record: PodRecord) -> set[str]:
    """Set aside what was made for the version that was proven last, before another one has it otherwise.

    Returns the Secrets that keep it, which stay until a version has proven itself (`drop_earlier_values`):
    whatever interrupts an update, the way back has the values that volumes may be locked with. Over the
    volumes of a deleted pod, of whose bundle nothing is left, all stay that hold such values.
    """
    made = await doors.cluster.made_secrets(record.namespace)
    kept = {name for name in made if is_earlier(name, record.version)}
    for name in made:
        earlier = earlier_name(name, record.version)
        if record.version and not is_earlier(name) and earlier not in kept:
            held = await doors.cluster.made_files(record.namespace, name)
            made_earlier = secret(earlier, held.files, held.renewals, held.types)
            await doors.cluster.apply([of_pod(made_earlier, record.namespace, record.label)])
            kept.add(earlier)
    return kept.union(made) if record.retained else kept


async def drop_earlier_values(doors: Doors, record: PodRecord) -> None:
    """A version has proven itself: there is no way back to those before."""
    for name in await doors.cluster.made_secrets(record.namespace):
        if is_earlier(name):
            await doors.cluster.delete_secret(record.namespace, name)


async def shown_additions(
    registry: ImageRegistry, record: PodRecord, life: PodLife, users: Mapping[str, str]
) -> PodLife:
    """As `with_additions` for a pod that was only asked about: nothing is made or pushed for it."""
    files = {name: dict(held) for name, held in life.secrets.items()}
    for volume in life.manifest.spec.volumes:
        if volume.secret is not None:
            files[volume.name] |= dict.fromkeys(volume.secret.made, b"")
    copier = None
    if any(volume.seed for volume in life.manifest.spec.volumes):
        image = await _copying_image()
        copier = Copier(registry.pull_reference(record.label, image.digest), users)
    return replace(life, secrets=files, copier=copier)


async def seed_copier(
    registry: ImageRegistry, record: PodRecord, opened: OpenBundle, places: Sequence[Path] = busybox.PLACES
) -> Copier | None:
    """What copies the pod's seeds; None where it has none.

    The image is pushed where the repository lacks it: it is made of this machine's busybox, which may be
    another one than when the pod came. Refused (rule `seed`) where there is none any more.
    """
    if not any(volume.seed for volume in opened.manifest.spec.volumes):
        return None
    image, repo = await _copying_image(places), record.label
    if not await registry.has_manifest(repo, image.digest):
        await _push(registry, repo, image)
    reference = registry.pull_reference(repo, image.digest)
    return Copier(reference, await _users(registry, repo, opened))


async def _copying_image(places: Sequence[Path] = busybox.PLACES) -> ProbeImage:
    try:
        return await trio.to_thread.run_sync(lambda: probe_image(busybox.program(places)))
    except NoContext as missing:
        raise Refused(f"volumes cannot be seeded: {missing.what}", rule="seed") from None


async def _push(registry: ImageRegistry, repo: str, image: ProbeImage) -> None:
    for digest, blob in image.blobs.items():
        await registry.push_blob(repo, digest, len(blob), _whole(blob))
    await registry.push_manifest(repo, MANIFEST, image.manifest)


async def _whole(blob: bytes) -> AsyncIterator[bytes]:
    yield blob


async def _users(registry: ImageRegistry, repo: str, opened: OpenBundle) -> dict[str, str]:
    """By container what its image says of its user: all of them are in the repository by now."""
    users = {}
    for image in opened.bundle.images:
        named = image.blobs[0]
        data = await registry.read_manifest(repo, named.digest, named.media_type)
        wanted = None if data is None else parse_manifest(data, named.media_type).config
        found = None if wanted is None else await registry.read_blob(repo, wanted.digest, wanted.size)
        if found is None:
            raise Refused(f"the image of {image.name} is not in the registry any more", rule="image")
        users[image.name] = parse_config(found).user
    return users
