# SPDX-License-Identifier: Apache-2.0
"""What a bundle says of its images is compared with the images, whoever sent it and whenever it comes."""

import gzip
import io
import json
import tarfile

import pytest

from tests.fakes.images.image_cases import CASES, bytes_of
from tests.fakes.images.image_parts import APP, Parts, entry, tar
from tests.fakes.images.oci_images import LAYER, digest
from tests.fakes.provider.caller import Caller, image_of, in_phase, manifest_of, serving, until
from tests.fakes.provider.records import pod_record
from tests.fakes.provider.world import FakeRegistry, World
from trustedpods.protocol.codec import encode
from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.protocol.images.descriptors import LAYER_TYPES
from trustedpods.protocol.images.layers import LayerReader
from trustedpods.protocol.limits import MAX_BLOB_SIZE
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, LayerRef
from trustedpods.protocol.sealing.blobs import chunk_count, derive, seal_chunk
from trustedpods.provider.core.pod import Phase
from trustedpods.provider.lifecycle.images import ImageImport
from trustedpods.provider.pods.bundles import OpenBundle, parse_bundle
from trustedpods.provider.pods.progress import ProgressFeeds
from trustedpods.provider.store.ledger import load_ledger
from trustedpods.provider.store.spool import Spool

RECORD = pod_record()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


PROVIDER_CASES = {name: case for name, case in CASES.items() if case.provider is not None}


def unpacked(data, kind):
    try:
        reader = LayerReader(LAYER_TYPES.get(kind, ""))
        reader.feed(data)
        return reader.finish().unpacked
    except BadInput:
        return 1 << 20


def sent(blobs, manifest):
    """The bundle of a client that checks nothing, and the contents of its blobs by id."""
    tree = json.loads(blobs[manifest["digest"]])
    named = {one["digest"]: one for one in (manifest, tree["config"], *tree["layers"])}
    refs, contents = [], {}
    for one, what in named.items():
        blob_id, key = derive(b"s" * 32, one)
        data, kind = blobs[one], str(what["mediaType"])
        refs.append(BlobRef(blob_id=blob_id, key=key, digest=one, size=len(data), media_type=kind))
        contents[blob_id] = data
    layers = [
        LayerRef(digest=one["digest"], unpacked=unpacked(blobs[one["digest"]], one["mediaType"]))
        for one in tree["layers"]
    ]
    image = ImageRef(name="web", blobs=refs, layers=layers)
    body = manifest_of().model_dump_json(by_alias=True).encode()
    return Bundle(
        name="web", manifest=body, images=[image], secrets=[], seeds=[], commanders=[b"\x02" * 20]
    ), contents


class Import:
    """A provider's import with a spool of its own and a registry in memory."""

    def __init__(self, folder):
        self.registry, self.spool = FakeRegistry(), Spool(folder / "spool", 64)
        self.images = ImageImport(self.registry, self.spool, ProgressFeeds())

    async def run(self, bundle, contents):
        """As the daemon does: blobs first, where the registry lacks the image."""
        (image,), publisher = bundle.images, RECORD.ref.publisher
        for ref in image.blobs:
            data = contents[ref.blob_id]
            if ref.size == len(data) and not self.spool.complete(publisher, ref):
                await self._spool(ref, data)
            there = (RECORD.label, image.blobs[0].digest) in self.registry.manifests
            if not there and not self.spool.complete(publisher, ref):
                raise Refused("a blob did not come", rule="blobs-missing")
        await self.images.run(RECORD, OpenBundle(bundle, manifest_of()))

    async def _spool(self, ref, data):
        total, size = chunk_count(ref.size), 1 << 20
        async with self.spool.writer(RECORD.ref.publisher, ref) as writer:
            for index in range(total):
                await writer.add(seal_chunk(ref.key, index, total, data[index * size : (index + 1) * size]))


def archived(case):
    """Blobs and manifest of an archive with one image."""
    with tarfile.open(fileobj=io.BytesIO(bytes_of(case))) as archive:
        files = {member.name: archive.extractfile(member).read() for member in archive}
    blobs = {digest(data): data for name, data in files.items() if name.startswith("blobs/")}
    return blobs, json.loads(files["index.json"])["manifests"][0]


@pytest.mark.parametrize("name", PROVIDER_CASES)
async def test_every_archive(tmp_path, name):
    """As if no client had looked at it."""
    case = PROVIDER_CASES[name]
    made = Import(tmp_path)
    bundle, contents = sent(*archived(case))
    if case.provider:
        with pytest.raises(Refused) as caught:
            await made.run(bundle, contents)
        assert case.provider in str(caught.value)
        assert caught.value.rule in ("image", "image-size")
        assert not made.registry.manifests
    else:
        await made.run(bundle, contents)
        assert len(made.registry.manifests) == 1
        await made.run(bundle, contents)


def _image(bundle, **changes):
    return bundle.model_copy(update={"images": [bundle.images[0].model_copy(update=changes)]})


def _blob(place, **changes):
    def change(bundle):
        blobs = list(bundle.images[0].blobs)
        blobs[place] = blobs[place].model_copy(update=changes)
        return _image(bundle, blobs=blobs)

    return change


def _layers(change):
    return lambda bundle: _image(bundle, layers=change(bundle.images[0].layers))


LIES = {
    "no size of the layer": _blob(2, size=0),
    "no size of the configuration": _blob(1, size=0),
    "no size of the manifest": _blob(0, size=0),
    "a large size": _blob(2, size=MAX_BLOB_SIZE),
    "another type": _blob(2, media_type=LAYER),
    "a manifest of another type": _blob(0, media_type="application/vnd.oci.image.index.v1+json"),
    "nothing unpacked": _layers(lambda layers: [one.model_copy(update={"unpacked": 0}) for one in layers]),
    "a byte less": _layers(lambda ls: [one.model_copy(update={"unpacked": one.unpacked - 1}) for one in ls]),
    "more": _layers(lambda ls: [one.model_copy(update={"unpacked": one.unpacked + 4096}) for one in ls]),
    "a layer less": _layers(lambda layers: layers[:-1]),
    "a layer more": _layers(lambda layers: [*layers, layers[0]]),
}


@pytest.mark.parametrize("again", ["first", "next generation", "after a restart"])
@pytest.mark.parametrize("lie", LIES)
async def test_what_a_bundle_says_of_sizes_is_compared_each_time(tmp_path, lie, again):
    """Also where the registry has the image already, and nothing has to be sent."""
    made = Import(tmp_path)
    parts = Parts()
    bundle, contents = sent(parts.blobs, parts.image(layers=(APP, APP)))
    if again != "first":
        await made.run(bundle, contents)
    if again == "after a restart":
        made.images = ImageImport(made.registry, made.spool, ProgressFeeds())
    with pytest.raises(Refused) as caught:
        await made.run(LIES[lie](bundle), contents)
    assert caught.value.rule in ("image", "image-size", "blob-size", "blobs-missing")
    await made.run(bundle, contents)


async def test_a_layer_is_read_no_further_than_was_told(tmp_path):
    made, parts = Import(tmp_path), Parts()
    big = tar(entry("zeros", bytes(64 << 20)))
    bundle, contents = sent(parts.blobs, parts.image(layers=(big,)))
    small = _layers(lambda ls: [one.model_copy(update={"unpacked": 1 << 20}) for one in ls])(bundle)
    with pytest.raises(Refused, match="more than 1 MiB") as caught:
        await made.run(small, contents)
    assert caught.value.rule == "image-size"
    assert not [key for key in made.registry.blobs if key[1] == digest(gzip.compress(big, mtime=0))]


def test_a_pod_is_as_large_as_its_images_unpacked():
    """1.5 MB that unpack to 1 GB are admitted and billed as 1 GB; a layer laid on twice counts twice."""
    parts = Parts()
    bundle, _ = sent(parts.blobs, parts.image(layers=(tar(entry("zeros", bytes(8 << 20))),) * 2))
    size = OpenBundle(bundle, manifest_of()).size
    assert size.image_mib == 17
    assert OpenBundle(bundle, manifest_of()).ask.image_mib == 17


def test_one_blob_in_two_ways_is_refused():
    caller_bundle, _ = sent(*archived(CASES["a layer twice"]))
    lie = _layers(lambda ls: [ls[0], ls[1].model_copy(update={"unpacked": 0})])(caller_bundle)
    foreign = _layers(lambda ls: [*ls, LayerRef(digest="sha256:" + "0" * 64, unpacked=0)])(caller_bundle)
    for bad in (lie, foreign):
        with pytest.raises(BadInput, match=r"named twice|not the image's"):
            parse_bundle(_encoded(bad))


def _encoded(bundle):
    return encode(bundle.model_copy(update={"secrets": []}))


async def test_an_update_that_names_the_same_image_with_no_size(world):
    """Through the whole daemon: refused, and the pod goes on being billed as it was."""
    async with serving(world) as (parts, caller):
        size = parts.pods.get(caller.ref.channel).size
        honest = caller.bundle

        def lying():
            bundle = honest()
            blobs = [blob.model_copy(update={"size": 0}) for blob in bundle.images[0].blobs]
            return _layers(lambda ls: [replace_unpacked(one) for one in ls])(_image(bundle, blobs=blobs))

        def replace_unpacked(one):
            return one.model_copy(update={"unpacked": 0})

        caller.bundle = lying
        with pytest.raises(Refused) as caught:
            await caller.provision()
        assert caught.value.rule in ("image", "image-size")
        record = await until(lambda: in_phase(parts, caller, Phase.SERVING))
        assert record.size == size
        book = await parts.doors.store.read(load_ledger, caller.ref.channel, 0)
        assert {one.mib for one in book.holdings if one.ended is None} == {size.image_mib}


async def test_images_beyond_the_operators_bound(world):
    world.terms["max_image_mib"] = 1
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.blobs = image_of(b"x" * (1 << 20))
        with pytest.raises(Refused, match="at most 1 may be") as caught:
            await caller.provision()
        assert caught.value.rule == "image-size"
