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
    "certificates of a key that is no identity": wrong(
        "spec.volumes.0.secret.generate.cookie",
        {"type": "p256", "certificates": {"c.pem": "a.example"}},
        "`certificates` are of a key with `type: p256` and `identity: true`",
    ),
    "a certificate that is called as its key": wrong(
        "spec.volumes.0.secret.generate.cookie",
        {"type": "p256", "identity": True, "certificates": {"cookie": "a.example"}},
        "a certificate is called as another one, or as a key",
    ),
    "a certificate for no host": wrong(
        "spec.volumes.0.secret.generate.cookie",
        {"type": "p256", "identity": True, "certificates": {"c.pem": "a b"}},
        "cannot stand here: a host name",
    ),
}
