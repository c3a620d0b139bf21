# SPDX-License-Identifier: Apache-2.0
"""`validate`: a manifest, the secrets and images that it names. Asks registries alone, for their images."""

from functools import partial
from pathlib import Path

from trustedpods.manifests.network.load import is_network, load_network
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.pod import Pod, pod_of, read_pod
from trustedpods.publisher.results.validated import ValidatedNetwork, ValidateResult, update_way


def validate(
    file: Path, cache: Path, opening: ImageOpening | None = None
) -> ValidateResult | ValidatedNetwork:
    """What is in *file*, a Pod or a Network, once all of it is sound; *cache* keeps what can be made again.

    Raises `BadInput`, and `NetworkFailure` for an image of a registry.
    """
    if not is_network(file):
        return _validated(read_pod(file, cache, opening=opening))
    loaded = load_network(file, partial(pod_of, cache=cache, opening=opening or ImageOpening()))
    metadata, spec = loaded.manifest.metadata, loaded.manifest.spec
    return ValidatedNetwork(
        network=metadata.name,
        nodes={name: _validated(pod) for name, pod in loaded.pods.items()},
        clusters={node.name: node.entry.cluster for node in loaded.nodes},
        members=None if spec.members is None else len(spec.members),
    )


def _validated(pod: Pod) -> ValidateResult:
    size = pod.manifest.replica_size
    return ValidateResult(
        pod=pod.name,
        images=pod.digests,
        image_bytes=pod.image_bytes,
        cpu_milli=size.cpu_milli,
        memory_mib=size.memory_mib,
        volume_mib=pod.manifest.volume_mib,
        update=update_way(pod.manifest.stops_for_update),
        trust=pod.manifest.spec.trust,
        warnings=tuple(f"{pod.loaded.place(one.location)}: {one.text}" for one in pod.warnings),
    )
