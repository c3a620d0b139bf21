# SPDX-License-Identifier: Apache-2.0
"""Somebody who signs images with a key, and puts what cosign would put beside them."""

import base64
import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.images.oci_images import INDEX, MANIFEST, ImageFiles, descriptor
from tests.fakes.images.registry import FakeRegistry
from trustedpods.protocol.images.signatures import BUNDLE, SIGNATURE, SIMPLE_SIGNING

SIGNED = "https://sigstore.dev/cosign/sign/v1"


class KeySigner:
    """One key, made anew."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    @property
    def pem(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def sign(self, data: bytes) -> str:
        return base64.b64encode(self._key.sign(data, ec.ECDSA(SHA256()))).decode()

    def payload(self, digest: str, kind: str = "cosign container image signature") -> bytes:
        image, identity = {"docker-manifest-digest": digest}, {"docker-reference": "registry.example.org/x"}
        tree = {"critical": {"identity": identity, "image": image, "type": kind}, "optional": None}
        return json.dumps(tree).encode()

    def bundle(self, digest: str, predicate: str = SIGNED) -> bytes:
        subject = {"digest": {"sha256": digest.removeprefix("sha256:")}}
        tree = {"_type": "https://in-toto.io/Statement/v1", "subject": [subject], "predicateType": predicate}
        statement, kind = json.dumps(tree).encode(), b"application/vnd.in-toto+json"
        signed = b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(statement), statement)
        envelope = {
            "payload": base64.b64encode(statement).decode(),
            "payloadType": kind.decode(),
            "signatures": [{"sig": self.sign(signed)}],
        }
        return json.dumps({"mediaType": BUNDLE, "dsseEnvelope": envelope}).encode()

    def simple_layer(self, digest: str) -> tuple[dict[str, Any], bytes]:
        """A layer's descriptor, with the signature, and its bytes."""
        data = self.payload(digest)
        return descriptor(SIMPLE_SIGNING, data, annotations={SIGNATURE: self.sign(data)}), data

    def bundle_layer(self, digest: str) -> tuple[dict[str, Any], bytes]:
        data = self.bundle(digest)
        return descriptor(BUNDLE, data), data


def document(*layers: dict[str, Any]) -> bytes:
    """A manifest with signatures as its layers."""
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": f"sha256:{'0' * 64}",
        "size": 2,
    }
    tree = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": list(layers)}
    return json.dumps(tree).encode()


def under_tag(registry: FakeRegistry, digest: str, *layers: tuple[dict[str, Any], bytes]) -> None:
    """As `cosign sign` of its versions 1 and 2."""
    for named, data in layers:
        registry.blobs[named["digest"]] = data
    made = document(*(named for named, _ in layers))
    registry.document(made, MANIFEST, f"{digest.replace(':', '-')}.sig")


def as_referrer(
    registry: FakeRegistry, digest: str, layer: tuple[dict[str, Any], bytes], *, served: bool
) -> None:
    """As cosign 3; a registry that serves no referrers has their index under a tag."""
    named, data = layer
    registry.blobs[named["digest"]] = data
    made = document(named)
    registry.document(made, MANIFEST, "some-signature")
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor(MANIFEST, made)]}
    text = json.dumps(index).encode()
    if served:
        registry.referrers[digest] = text
    else:
        registry.document(text, INDEX, digest.replace(":", "-"))


def in_layout(files: ImageFiles, layer: tuple[dict[str, Any], bytes]) -> None:
    """As `cosign save` writes it beside the image."""
    named, data = layer
    files.blob(data)
    made = files.blob(document(named))
    kind = "dev.cosignproject.cosign/"
    files.set_index(
        [
            descriptor(MANIFEST, files.manifest, annotations={"kind": f"{kind}image"}),
            descriptor(MANIFEST, made, annotations={"kind": f"{kind}sigs"}),
        ]
    )
