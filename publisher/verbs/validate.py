# SPDX-License-Identifier: Apache-2.0
"""`validate`: a manifest, the secrets and the images that it names. Talks to nobody."""

from pathlib import Path

from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.validated import ValidateResult, update_way


def validate(file: Path, cache: Path) -> ValidateResult:
    """What is in *file*, once all of it is sound; *cache* keeps what can be made again. Raises `BadInput`."""
    pod = read_pod(file, cache)
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
    )
