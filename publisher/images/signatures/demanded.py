# SPDX-License-Identifier: Apache-2.0
"""Whether the images of a pod are signed by those whom a policy demands."""

from collections.abc import Iterable, Iterator, Sequence

from trustedpods.protocol.attestation.policy.signers import ImageSigner
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.images.signatures import ImageSignature, is_by
from trustedpods.publisher.images.oci import SourcedImage
from trustedpods.publisher.images.signatures.found import layout_signatures, registry_signatures
from trustedpods.publisher.images.source import layout_of, reference_of

_RULE = "image-signer"
_SIGN = "`cosign sign --key cosign.key NAME@sha256:...` signs what a registry has; docs/images.md"


def check_signers(images: Iterable[SourcedImage], signers: Sequence[ImageSigner]) -> Iterator[str]:
    """A line for each image, with who signed it. Without *signers* nothing is asked for.

    Raises Refused (rule `image-signer`) for the first image that none of them signed, and what a registry or
    a layout raises that cannot be read.
    """
    if not signers:
        return
    for one in {(named.source, named.image.digest): named for named in images}.values():
        try:
            yield f"{one.source} is signed by {_signed_by(one, signers)}"
        except BadInput as error:
            raise BadInput(error.what, where=one.where or error.where, hint=error.hint) from None


def _signed_by(named: SourcedImage, signers: Sequence[ImageSigner]) -> str:
    reference = reference_of(named.source)
    wanted = [signer for signer in signers if signer.is_for(reference)]
    if not wanted:
        raise _refused(
            named, "the policy names nobody who signs it", 'name it in an [[image_signers]], or "any"'
        )
    digests, seen = (named.image.digest, *named.image.indexes), 0
    for signature in _signatures(named, digests):
        if signature.digest not in digests:
            continue
        seen += 1
        for signer in wanted:
            if any(is_by(signature, key) for key in signer.keys):
                return signer.name
    who = ", ".join(signer.name for signer in wanted)
    what = f"it is signed, but not by {who}" if seen else f"it has no signature, and needs one of {who}"
    raise _refused(named, what, _SIGN)


def _signatures(named: SourcedImage, digests: Iterable[str]) -> Iterator[ImageSignature]:
    reference = reference_of(named.source)
    if reference is not None:
        for digest in digests:
            yield from registry_signatures(reference, digest)
        return
    layout = layout_of(named.source, named.base)
    if layout is not None:
        yield from layout_signatures(layout)


def _refused(named: SourcedImage, what: str, hint: str) -> Refused:
    return Refused(f"the image {named.source}: {what}", where=named.where, rule=_RULE, hint=hint)
