# SPDX-License-Identifier: Apache-2.0
"""Names of users, which only who has the images can look up."""

from collections.abc import Iterator

from trustedpods.manifests.problem import Problem
from trustedpods.manifests.spec.pod import PodManifest


def named_users(manifest: PodManifest) -> Iterator[Problem]:
    """Every user that is still a name, in a manifest that must have numbers: a provider's."""
    for field, found in (
        ("initContainers", manifest.spec.init_containers),
        ("containers", manifest.spec.containers),
    ):
        for index, container in enumerate(found):
            user = container.security_context.run_as_user
            if isinstance(user, str):
                text = f"{user!r} is a name, which its sender looks up in the image: give its number"
                yield Problem(("spec", field, index, "securityContext", "runAsUser"), text)
