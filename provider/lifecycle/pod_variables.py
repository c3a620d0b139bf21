# SPDX-License-Identifier: Apache-2.0
"""What a pod's containers are told of it, as variables, and what its publisher is: its statement. Pure."""

from collections.abc import Mapping

from trustedpods.manifests.spec.scale import SLEEP_PATH, SLEEP_URL
from trustedpods.protocol.ids import address_bytes, channel_bytes, channel_hex
from trustedpods.protocol.messages.pod import Endpoint, Statement
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.pod import PodRecord, ServiceExposure
from trustedpods.provider.exposure.exposure import Site
from trustedpods.provider.pods.bundles import OpenBundle


def site_of(record: PodRecord, config: ProviderConfig) -> Site:
    """How the pod is reached from outside."""
    https = config.facade.https_suffix if config.facade.tls_binds else None
    host = f"{record.label}.{config.identity.domain}"
    return Site(host, config.identity.url_suffix, https, config.exposure.node_address)


def sleep_place(config: ProviderConfig) -> tuple[str, int] | None:
    """Address and port at which pods ask for their own sleep; None where nobody listens."""
    names = config.names
    return None if names is None or names.sleep_port is None else (names.place.listens, names.sleep_port)


def pod_variables(record: PodRecord, opened: OpenBundle, config: ProviderConfig) -> dict[str, str]:
    """Names and values; they are the same for all lives of a version, so none starts anew for them.

    `TRUSTEDPODS_URLS` has the URLs of services of http, one blank between two: other addresses are given
    only once the pod is there, and may change. `TRUSTEDPODS_SLEEP_URL` is there with `scale.ownSleep`.
    """
    site = site_of(record, config)
    urls = [
        url
        for part in opened.exposures(record.label, config)
        if part.expose == "http"
        for url in part.urls(site, None)
    ]
    asks, place = {}, sleep_place(config)
    if opened.manifest.spec.scale.own_sleep and place is not None:
        asks = {SLEEP_URL: f"http://{place[0]}:{place[1]}{SLEEP_PATH}"}
    return {
        "TRUSTEDPODS_POD": opened.manifest.metadata.name,
        "TRUSTEDPODS_CHANNEL": channel_hex(record.channel),
        "TRUSTEDPODS_PROVIDER": config.identity.owner,
        "TRUSTEDPODS_URLS": " ".join(urls),
        **asks,
    }


def endpoints(
    record: PodRecord, opened: OpenBundle, config: ProviderConfig, given: Mapping[str, ServiceExposure]
) -> list[Endpoint]:
    """Where each service is reached; whatever gives ports has *given* them before."""
    site = site_of(record, config)
    return [
        Endpoint(service=one.service, port=port, url=url)
        for one in opened.services(record.label, config)
        for port, url in one.endpoints(site, given[one.service])
    ]


def statement_of(
    record: PodRecord,
    opened: OpenBundle,
    config: ProviderConfig,
    given: Mapping[str, ServiceExposure],
    now: UnixSeconds,
    identity: bytes,
) -> Statement:
    """What is confirmed to the publisher of the bundle, whose services have what was *given* them."""
    return Statement(
        channel=channel_bytes(record.channel),
        generation=record.generation,
        namespace=record.namespace,
        endpoints=endpoints(record, opened, config, given),
        images={image.name: image.blobs[0].digest for image in opened.bundle.images},
        terms=record.terms or 0,
        meter=address_bytes(record.meter),
        issued_at=now,
        identity=identity,
    )
