# SPDX-License-Identifier: Apache-2.0
"""What every container is told of its pod, as variables of its environment. Pure."""

from trustedpods.protocol.ids import channel_hex
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.exposure.exposure import Site
from trustedpods.provider.pods.bundles import OpenBundle


def site_of(record: PodRecord, config: ProviderConfig) -> Site:
    """How the pod is reached from outside."""
    https = config.facade.https_suffix if config.facade.tls_binds else None
    host = f"{record.label}.{config.identity.domain}"
    return Site(host, config.identity.url_suffix, https, config.exposure.node_address)


def pod_variables(record: PodRecord, opened: OpenBundle, config: ProviderConfig) -> dict[str, str]:
    """Names and values; they are the same for all lives of a version, so none starts anew for them.

    `TRUSTEDPODS_URLS` has the URLs of services of http, one blank between two: other addresses are given
    only once the pod is there, and may change.
    """
    site = site_of(record, config)
    urls = [
        url
        for part in opened.exposures(record.label, config)
        if part.expose == "http"
        for url in part.urls(site, None)
    ]
    return {
        "TRUSTEDPODS_POD": opened.manifest.metadata.name,
        "TRUSTEDPODS_CHANNEL": channel_hex(record.channel),
        "TRUSTEDPODS_PROVIDER": config.identity.owner,
        "TRUSTEDPODS_URLS": " ".join(urls),
    }
