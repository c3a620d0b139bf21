# SPDX-License-Identifier: Apache-2.0
"""Opening sealed bundles: from the request as it was stored to a manifest that can be applied.

The plaintext is only ever in memory. After a reboot the key is another one and nothing opens.
"""

from dataclasses import dataclass
from functools import cached_property

from trustedpods.manifests.check.seeds import Seeds, wanted_seeds
from trustedpods.manifests.check.services import TLS_FILES
from trustedpods.manifests.parse import parse_received
from trustedpods.manifests.spec.pod import PodManifest
from trustedpods.protocol.codec import decode
from trustedpods.protocol.envelopes import SignedRequest
from trustedpods.protocol.errors import BadInput, Refused, RemoteProtocolError
from trustedpods.protocol.ids import host_label
from trustedpods.protocol.images.stored_size import SizedImage, stored_bytes, whole_mib
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef
from trustedpods.protocol.sealing.requests import OpenedRequest, open_request
from trustedpods.protocol.units import MIB, UnixSeconds
from trustedpods.provider.cluster.objects.pod_objects import claims
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.admission import (
    Offer,
    check_class,
    check_hosts,
    check_names,
    check_own_sleep,
    check_seeds,
    check_tunnel,
    check_user_namespaces,
)
from trustedpods.provider.core.egress import check_smtp_ports, openings
from trustedpods.provider.core.networks.book import check_book
from trustedpods.provider.core.networks.tunnels import check_addresses
from trustedpods.provider.core.pod import PodRecord, PodSize, Scaling
from trustedpods.provider.core.webhook_url import check_url
from trustedpods.provider.doors import Doors
from trustedpods.provider.exposure.exposure import Exposure, FacadeExposure
from trustedpods.provider.exposure.ingress import IngressExposure
from trustedpods.provider.exposure.plan import plan, through_facade, under_hosts
from trustedpods.provider.facade.certificates import Certificate, as_read, certificate_of, utc

MAX_OPEN_BYTES = 16 * MIB
"""Sealed size of the bundles whose plaintext is kept in memory: thousands of usual pods. A bundle that is
not kept is opened again each time."""


@dataclass(frozen=True)
class OpenBundle:
    """A bundle and its manifest, both checked."""

    bundle: Bundle
    manifest: PodManifest

    @cached_property
    def blobs(self) -> dict[bytes, BlobRef]:
        """Every blob of the bundle by its id."""
        return {blob.blob_id: blob for image in self.bundle.images for blob in image.blobs}

    @property
    def grace_s(self) -> int:
        """How long a replica may take to end."""
        return self.manifest.spec.termination_grace_period_seconds

    @cached_property
    def size(self) -> PodSize:
        """What is billed and reserved."""
        replica = self.manifest.replica_size
        images = [
            SizedImage(
                {blob.digest: blob.size for blob in image.blobs},
                tuple((layer.digest, layer.unpacked) for layer in image.layers),
            )
            for image in self.bundle.images
        ]
        image_mib = whole_mib(stored_bytes(images))
        return PodSize(
            replica.cpu_milli, replica.memory_mib, self.manifest.volume_mib, image_mib, replica.storage_mib
        )

    def scaling(self, idle_after_s: int) -> Scaling:
        """How it scales; *idle_after_s* is the provider's default."""
        scale = self.manifest.spec.scale
        idle = idle_after_s if scale.idle_after is None else scale.idle_after
        return Scaling(scale.min, scale.max, idle, scale.concurrency)

    @property
    def secrets(self) -> dict[str, dict[str, bytes]]:
        """Files of each secret volume.

        Refused (rule `tls`) where a controller would be given a certificate that cannot be read.
        """
        files = {secret.name: dict(secret.files) for secret in self.bundle.secrets}
        for name, pair in self._for_controllers.items():
            files[name] |= pair
        return files

    @cached_property
    def _for_controllers(self) -> dict[str, dict[str, bytes]]:
        """Certificates that controllers read out of Secrets: what was checked, and nothing beside it."""
        files = {secret.name: secret.files for secret in self.bundle.secrets}
        parts = [one for one in self.manifest.spec.services if one.ingress is not None]
        return {
            name: dict(zip(TLS_FILES, as_read(*(files[name][file] for file in TLS_FILES)), strict=True))
            for name in {one.tls.secret_name for one in parts if one.tls is not None}
        }

    @property
    def seeds(self) -> Seeds:
        """Files of each seed."""
        return {(seed.volume, seed.ordinal): seed.files for seed in self.bundle.seeds}

    @property
    def volumes(self) -> dict[str, int]:
        """MiB of each claim by its name: of a persistent volume one, or one for each replica."""
        return dict(claims(self.manifest))

    @property
    def outliving(self) -> dict[str, int]:
        """MiB of each claim that outlives a delete, by its name."""
        return dict(claims(self.manifest, outliving=True))

    def image_of(self, container: str) -> ImageRef:
        """The image of a container."""
        return next(image for image in self.bundle.images if image.name == container)

    def services(self, label: str, config: ProviderConfig) -> tuple[Exposure, ...]:
        """Every service of the pod, and how it is exposed."""
        return plan(self.manifest, label, config.identity.domain)

    def exposures(self, label: str, config: ProviderConfig) -> tuple[FacadeExposure, ...]:
        """Everything that the facade serves of the pod."""
        return through_facade(self.services(label, config))

    def with_hosts(self, label: str, config: ProviderConfig) -> tuple[FacadeExposure | IngressExposure, ...]:
        """Everything of the pod that may be reached under hosts of the publisher's own."""
        return under_hosts(self.services(label, config))

    def certificate(
        self, part: FacadeExposure | IngressExposure, now: UnixSeconds | None
    ) -> Certificate | None:
        """The service's own certificate, out of its secret; Refused (rule `tls`) when it is not sound.

        It may have expired where *now* is None: a pod that was let in goes on.
        """
        if part.tls_secret is None:
            return None
        files = next(one.files for one in self.bundle.secrets if one.name == part.tls_secret)
        alone = isinstance(part, IngressExposure)
        at = None if now is None else utc(now)
        return certificate_of(files["tls.crt"], files["tls.key"], part.own_hosts, at, alone=alone)

    @property
    def ask(self) -> AdmitBody:
        """The question for admission, from the bundle itself."""
        return AdmitBody(
            cpu_milli=self.size.cpu_milli,
            memory_mib=self.size.memory_mib,
            storage_mib=self.size.volume_mib,
            image_mib=self.size.image_mib,
            scratch_mib=self.size.scratch_mib,
            max_replicas=self.manifest.spec.scale.max,
            services={service.name: service.protocol for service in self.manifest.exposed_services},
            hosts=list(
                dict.fromkeys(host for service in self.manifest.spec.services for host in service.hosts)
            ),
            volumes=self.manifest.volume_asks,
            names=self.manifest.spec.network.by_name,
            smtp=self.manifest.spec.network.smtp,
            own_sleep=self.manifest.spec.scale.own_sleep,
            user_namespaces=self.manifest.spec.host_users is False,
            calls=self.manifest.spec.network.calls,
            placement=self.manifest.placement,
            csi_drivers=self.manifest.csi_drivers,
            ingresses=self.manifest.ingress_asks,
        )


def parse_bundle(body: bytes) -> OpenBundle:
    """Decode a bundle and check its manifest as the client should have; BadInput where something is wrong."""
    bundle = decode(body, Bundle)
    seeds = {(part.volume, part.ordinal): part.files for part in bundle.seeds}
    if len(seeds) != len(bundle.seeds):
        raise BadInput("a seed is there twice", where="bundle.seeds")
    manifest = parse_received(bundle.manifest, {part.name: part.files for part in bundle.secrets}, seeds)
    _check_parts(bundle, manifest)
    return OpenBundle(bundle, manifest)


def _check_parts(bundle: Bundle, manifest: PodManifest) -> None:
    containers = [container.name for container in manifest.spec.all_containers]
    if sorted(image.name for image in bundle.images) != sorted(containers):
        raise BadInput(
            "the bundle's images are not those of the manifest's containers", where="bundle.images"
        )
    _check_sizes(bundle)
    wanted = {v.name: set(v.secret.files) for v in manifest.spec.volumes if v.secret}
    if any(v.secret.directory for v in manifest.spec.volumes if v.secret):
        raise BadInput("a directory is for who loads a manifest: give its files", where="bundle.secrets")
    given = {secret.name: set(secret.files) for secret in bundle.secrets}
    if wanted != given:
        raise BadInput("the bundle's secrets are not those of the manifest", where="bundle.secrets")
    if set(wanted_seeds(manifest)) != {(part.volume, part.ordinal) for part in bundle.seeds}:
        raise BadInput("the bundle's seeds are not those of the manifest", where="bundle.seeds")


def _check_sizes(bundle: Bundle) -> None:
    """A blob is named in one way throughout the bundle, and each layer is one of its image's blobs."""
    blobs: dict[str, BlobRef] = {}
    unpacked: dict[str, int] = {}
    for image in bundle.images:
        own = [blob.digest for blob in image.blobs]
        same = all(blobs.setdefault(blob.digest, blob) == blob for blob in image.blobs)
        once = all(
            unpacked.setdefault(layer.digest, layer.unpacked) == layer.unpacked for layer in image.layers
        )
        if not (same and once and len(set(own)) == len(own)):
            raise BadInput("a blob is named twice, in two ways", where=f"bundle.images.{image.name}")
        if {layer.digest for layer in image.layers} != set(own[2:]):
            raise BadInput("the layers are not the image's blobs", where=f"bundle.images.{image.name}")
    if len({blob.blob_id for blob in blobs.values()}) != len(blobs):
        raise BadInput("two blobs have one id", where="bundle.images")


def check_bundle(opened: OpenBundle, offer: Offer, request: OpenedRequest, now: int) -> None:
    """What this provider cannot serve is refused before anything is stored. *now* is Unix seconds."""
    spec = opened.manifest.spec
    check_class(spec.trust, offer)
    for service in opened.manifest.exposed_services:
        own = "" if service.expose == "ingress" else host_label(request.ref.channel)
        check_hosts(service.hosts, own, offer.domain)
    openings(spec.network, offer.egress_closed, smtp=offer.smtp)
    check_smtp_ports(spec.network, smtp=offer.smtp)
    check_book(opened.bundle.book, spec.network, offer.egress_closed, offer.peers, now)
    check_names(spec.network.by_name, offer)
    check_own_sleep(spec.scale.own_sleep, offer)
    check_user_namespaces(spec.host_users is False, offer)
    check_tunnel(spec.network.tunnel is not None, offer)
    if spec.network.tunnel is not None and opened.bundle.book is not None:
        check_addresses(opened.bundle.book, spec.network)
    check_seeds(any(volume.seed for volume in spec.volumes), offer)
    if spec.notify.webhook is not None:
        check_url(spec.notify.webhook, allow_private=offer.private_webhooks)


class Bundles:
    """Opens stored requests with this boot's key, and remembers what it opened."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._open: dict[bytes, OpenBundle] = {}
        self._open_bytes = 0

    def held(self, record: PodRecord) -> bool:
        """Whether this boot's key opens the pod's bundle, and it is the newest that was taken."""
        newest = record.generation >= self._doors.generations.newest(record.channel)
        return newest and record.boot_id == self._doors.keys.boot_id

    def open(self, record: PodRecord) -> OpenBundle:
        """The pod's bundle; Refused (rule `awaiting-key`) when an earlier boot holds its key."""
        return self.open_stored(record.request)

    def open_stored(self, stored: bytes) -> OpenBundle:
        """As `open`, for any stored request."""
        if stored not in self._open:
            body = self._body(stored)
            self._open[stored] = parse_bundle(body)
            self._open_bytes += len(stored)
            while self._open_bytes > MAX_OPEN_BYTES and len(self._open) > 1:
                self.forget(next(iter(self._open)))
        return self._open[stored]

    def forget(self, stored: bytes) -> None:
        """Let go of the plaintext of a pod that ended."""
        if self._open.pop(stored, None) is not None:
            self._open_bytes -= len(stored)

    def _body(self, stored: bytes) -> bytes:
        request = decode(stored, SignedRequest)
        if request.boot_id != self._doors.keys.boot_id:
            raise Refused("the machine was restarted since this bundle came", rule="awaiting-key")
        try:
            opened = open_request(
                request,
                chain=self._doors.context,
                owner=self._doors.owner,
                boot_id=self._doors.keys.boot_id,
                hpke=self._doors.keys.hpke,
                now=UnixSeconds(request.expiry - 1),  # it was in time when it came
            )
        except RemoteProtocolError as error:
            raise Refused(f"a stored bundle does not open: {error.what}", rule="awaiting-key") from error
        return opened.body
