# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.localnet.cluster.image_collector import ImageName, parse, superfluous

REGISTRY = "127.0.0.1:5000"
LISTING = """REF TYPE DIGEST SIZE PLATFORMS LABELS
127.0.0.1:5000/pods/pabc@sha256:aa application/vnd.oci.image.manifest.v1+json sha256:aa 1.0 MiB linux/amd64 -
docker.io/local/pause:1 application/vnd.oci.image.manifest.v1+json sha256:cc 3.0 KiB linux/amd64 -
sha256:bb application/vnd.oci.image.manifest.v1+json sha256:aa 1.0 MiB linux/amd64 -
"""
references = st.sampled_from(["@sha256:aa", "@sha256:bb", ":1"])
ours = st.builds(lambda repo, ref: f"{REGISTRY}/pods/{repo}{ref}", st.sampled_from("xyz"), references)
others = st.sampled_from(["docker.io/local/pause:1", "docker.io/local/busybox:1", "127.0.0.1:50001/pods/x:1"])
digests = st.sampled_from(["sha256:d1", "sha256:d2", "sha256:d3"])
images = st.builds(ImageName, ours | others | digests.map(lambda digest: f"sha256:id-of-{digest}"), digests)


def test_a_listing_is_read():
    assert [image.name for image in parse(LISTING)] == [
        "127.0.0.1:5000/pods/pabc@sha256:aa",
        "docker.io/local/pause:1",
        "sha256:bb",
    ]
    assert parse("") == []


def test_an_ended_pods_image_goes_with_its_nameless_name():
    asked = []

    def needed(*place: str) -> bool:
        asked.append(place)
        return False

    found = superfluous(parse(LISTING), REGISTRY, needed)
    assert found == ["127.0.0.1:5000/pods/pabc@sha256:aa", "sha256:bb"]
    assert asked == [("pods/pabc", "sha256:aa")]


@given(st.lists(images, unique_by=lambda image: image.name), st.sets(st.sampled_from("xyz")))
def test_what_a_pod_needs_and_what_is_not_ours_stays(images, standing):
    doomed = set(superfluous(images, REGISTRY, lambda repo, _ref: repo.removeprefix("pods/") in standing))
    kept = [image for image in images if image.name not in doomed]
    held = {image.digest for image in kept if "/" in image.name}
    for image in images:
        if image.name.startswith(f"{REGISTRY}/"):
            assert (image.name in doomed) == (image.name.split("/")[2][0] not in standing)
        elif "/" in image.name or image.digest in held:
            assert image.name not in doomed
