# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with what fills a volume."""

from collections.abc import Mapping
from typing import Any

from tests.manifests.sound import SOUND, changed
from tests.manifests.wrong_form import Wrong, wrong

_SEED = "spec.volumes.1.seed.directory"
_LONG = {"name": "d" * 54, "persistent": {"size": "1Gi"}, "seed": {"backup": True}}
_SIGNED = {"name": "data", "persistent": {"size": "1Gi", "neverRestore": True}, "seed": {"backup": True}}
_MANY = [
    {"name": f"d{n}", "persistent": {"size": "1Mi"}, "seed": {"directory": "{ordinal}"}} for n in range(7)
]
_STATEFUL = {"workload": "stateful", "replicas": 20}


def seeded(words: str, files: Mapping[str, bytes]) -> Wrong:
    """SOUND with these *files* in the directory of its seed."""
    return Wrong(SOUND, words, seed=files)


def _shared_and_seeded() -> dict[str, Any]:
    """SOUND with two replicas, which share its seeded volume."""
    tree = changed("spec.scale.max", 2)
    tree["spec"]["volumes"][1]["persistent"]["accessMode"] = "ReadWriteMany"
    return tree


SEEDS = {
    "a seed of what has no number": wrong(_SEED, "first-{ordinal}", "needs workload: stateful"),
    "a seed of no source": wrong("spec.volumes.1.seed", {}, "give either a directory or `backup: true`"),
    "a backup into a long name": wrong("spec.volumes.1", _LONG, "`restore` finds it by the container seed-"),
    "a backup into what must not go back": wrong(
        "spec.volumes.1", _SIGNED, "not go back in time (neverRestore)"
    ),
    "a seed of scratch": wrong(
        "spec.volumes.2.seed", {"directory": "first"}, "a seed fills a persistent volume"
    ),
    "a seed of nothing mounted": wrong("spec.volumes.1.name", "date", "no container mounts this volume"),
    "too many seeds": Wrong(
        {
            **SOUND,
            "spec": {
                key: value
                for key, value in (
                    SOUND["spec"] | _STATEFUL | {"volumes": [*SOUND["spec"]["volumes"], *_MANY]}
                ).items()
                if key != "scale"
            },
        },
        "seeds of all volumes and replicas are 141; at most 128",
    ),
    "an empty seed": seeded("the seed has no files", {}),
    "a large seed": seeded(
        "the files of all seeds are larger than 1024 KiB", {"a": b"x" * (1 << 20), "b": b"x"}
    ),
    "a seed with a blank": seeded("the file 'a b' cannot be copied", {"a b": b""}),
    "a seed with a mark": seeded("as only the provider's own marks do", {".trustedpods-seeded": b""}),
    "a seed under several hands": Wrong(_shared_and_seeded(), "over each other's work"),
}
