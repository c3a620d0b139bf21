# SPDX-License-Identifier: Apache-2.0
"""A bundle of a client that checked nothing: the provider refuses what the client should have refused."""

import json

import pytest

from tests.examples import some
from tests.fakes.provider.caller import Caller, manifest_of, until
from tests.fakes.provider.world import World
from tests.manifests.sound import FILES, SEED, SOUND, changed
from tests.manifests.wrong import WRONG
from tests.manifests.wrong_form import Wrong
from trustedpods.manifests.check.services import MAX_HOSTS, MAX_ROUTES
from trustedpods.protocol.codec import decode, encode
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.bundle import BlobRef, Bundle, ImageRef, SecretValue, SeedFiles
from trustedpods.protocol.messages.pod import Statement
from trustedpods.provider.admission.arrivals import AdmissionLimits, Allowance
from trustedpods.provider.pods.bundles import parse_bundle


def bundle_of(case: Wrong) -> Bundle:
    """What a changed client sends for it: all is there that the manifest names."""
    spec = case.tree["spec"]
    names = {container["name"] for container in [*spec["containers"], *spec["initContainers"]]}
    blobs = [
        BlobRef(
            blob_id=letter.encode() * 32,
            key=b"k" * 32,
            digest=f"sha256:{letter * 64}",
            size=1,
            media_type="x/y",
        )
        for letter in "ab"
    ]
    return Bundle(
        name="shop",
        manifest=json.dumps(case.tree).encode(),
        images=[ImageRef(name=name, blobs=blobs, layers=[]) for name in sorted(names)],
        secrets=[SecretValue(name="keys", files=dict(case.files))],
        seeds=[SeedFiles(volume="data", ordinal=None, files=dict(case.seed))],
        commanders=[b"c" * 20],
    )


def test_a_sound_one_is_taken() -> None:
    opened = parse_bundle(encode(bundle_of(Wrong(SOUND, ""))))
    assert opened.secrets == {"keys": FILES}
    assert opened.seeds == {("data", None): SEED}


@pytest.mark.parametrize("name", WRONG)
def test_what_the_client_would_have_refused_is_refused(name: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_bundle(encode(bundle_of(WRONG[name])))
    assert WRONG[name].words in f"{refused.value.where}: {refused.value.what}"


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"images": []}, "images are not those"),
        ({"secrets": []}, "secrets are not those"),
        ({"secrets": [SecretValue(name="keys", files={"token": b""})]}, "secrets are not those"),
        ({"seeds": []}, "seeds are not those"),
        ({"seeds": [SeedFiles(volume="data", ordinal=0, files=SEED)]}, "seeds are not those"),
        ({"seeds": [SeedFiles(volume="data", ordinal=None, files=SEED)] * 2}, "a seed is there twice"),
    ],
)
def test_parts_that_do_not_fit_the_manifest(parts: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        parse_bundle(encode(bundle_of(Wrong(SOUND, "")).model_copy(update=parts)))


@pytest.mark.parametrize(
    "manifest", [b"", b"{", b"[]", b"null", b"[" * 5000, b"\xff", b'{"spec": {"containers": 1}}']
)
def test_what_is_no_manifest(manifest: bytes) -> None:
    with pytest.raises(BadInput):
        parse_bundle(encode(bundle_of(Wrong(SOUND, "")).model_copy(update={"manifest": manifest})))


async def test_the_daemon_answers_each_with_a_refusal_and_keeps_nothing(tmp_path) -> None:
    cases = some(list(WRONG.values()))
    at_once = AdmissionLimits(bundles=Allowance(burst=len(cases) + 1, every_s=0.5))
    world = World(tmp_path, limits=at_once)
    async with world.run() as (parts, address):
        caller = Caller(world, address)
        sound = caller.bundle()
        for case in cases:
            caller.bundle = lambda case=case: bundle_of(case)
            with pytest.raises(BadInput) as refused:
                await caller.provision(pay=False)
            assert case.words in refused.value.what or case.words in str(refused.value)
        assert not world.cluster.lives
        assert parts.pods.get(caller.ref.channel) is None
        caller.bundle = lambda: sound
        await caller.provision()
        await until(lambda: world.cluster.lives)


async def test_the_most_ways_in_that_a_manifest_may_have_are_confirmed(tmp_path) -> None:
    """What is asked at admission, and what is signed at the end, hold all that the check lets pass."""
    world = World(tmp_path)
    hosts = [f"{'long-name-' * 5}{number}.{'deep.' * 10}own.localhost" for number in range(MAX_HOSTS - 1)]
    path = "/" + "p" * 60
    web = {"name": "web", "expose": "http", "ports": [{"port": 80, "targetPort": 8080}]}
    paths = [f"{path}/{number}" for number in range(MAX_ROUTES // MAX_HOSTS)]
    async with world.run() as (_, address):
        caller = Caller(world, address)
        caller.manifest = manifest_of(services=[web | {"hosts": hosts, "paths": paths}])
        _, _, signed = await caller.provision()
        assert len(decode(signed.statement, Statement).endpoints) == MAX_ROUTES


def test_a_directory_that_only_a_client_can_read_is_refused() -> None:
    tree = changed("spec.volumes.0.secret", {"directory": "keys"})
    del tree["spec"]["containers"][0]["env"][1], tree["spec"]["services"][0]["tls"]
    del tree["spec"]["containers"][0]["volumeMounts"][1]
    made = bundle_of(Wrong(tree, "")).model_copy(update={"secrets": [SecretValue(name="keys", files={})]})
    with pytest.raises(BadInput, match="a directory is for who loads a manifest"):
        parse_bundle(encode(made))
