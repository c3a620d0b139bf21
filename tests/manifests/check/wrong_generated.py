# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with keys that are to be made inside the provider."""

from tests.manifests.wrong_form import wrong

GENERATED = {
    "a length of a key": wrong(
        "spec.volumes.0.secret.generate.id", {"type": "x25519", "length": 9}, "`length` is not said of x25519"
    ),
    "an encoding of a password": wrong(
        "spec.volumes.0.secret.generate.id", {"encoding": "pem"}, "`encoding` is not said of password"
    ),
    "an identity that is no key": wrong(
        "spec.volumes.0.secret.generate.cookie",
        {"type": "hex", "identity": True},
        "`identity` is not said of hex",
    ),
    "two identities": wrong(
        "spec.volumes.0.secret.generate.cookie",
        {"type": "secp256k1", "identity": True},
        "a pod is known by one key",
    ),
}
