# SPDX-License-Identifier: Apache-2.0
"""The image with stand-ins for what is fetched: where files lie in it."""

from tests.deploy.debian.packages import parts
from tests.deploy.helm.building import Entry
from tests.deploy.helm.building import container_image as image
from tests.paths import ROOT


def entry(text=b"", **more):
    return Entry(text, mode=0o644, **more)


def test_debians_files_lie_as_after_an_install():
    made = image.debian(
        {
            "bin/dash": entry(b"dash"),
            "lib64/ld.so": entry(b"loader"),
            "usr/sbin/haproxy": entry(b"haproxy"),
            "usr/share/ca-certificates/mozilla/b.crt": entry(b"second\n"),
            "usr/share/ca-certificates/mozilla/a.crt": entry(b"first\n"),
            "usr/share/man/man1/dash.1.gz": entry(b"page"),
            "var/lib/dpkg/status": entry(b""),
        }
    )
    assert made["usr/bin/dash"].data == b"dash"
    assert made["usr/lib64/ld.so"].data == b"loader"
    assert {name: made[name].link for name in image.MERGED} == {name: f"usr/{name}" for name in image.MERGED}
    assert made[image.BUNDLE].data == b"first\nsecond\n"
    assert [name for name in made if "man1" in name or "dpkg" in name] == []
    assert made["tmp"].mode == 0o1777


def test_the_packages_tree_is_in_it_without_systemds_files(tmp_path):
    made = image.own(ROOT, parts(tmp_path / "parts"), tmp_path / "tree")
    assert made["usr/bin/trustedpods-provider"].link == "../lib/trusted-pods/bin/trustedpods-provider"
    assert made["usr/lib/trusted-pods/bin/python3"].link == "../../../bin/python3.11"
    assert made["usr/lib/trusted-pods/bin/trustedpods-provider"].mode == 0o755
    assert "usr/lib/trusted-pods/lib/python3.11/site-packages/trustedpods/provider/cli.py" in made
    assert {name.partition("/")[0] for name in made} == {"usr"}
    assert [name for name in made if "systemd" in name or name.startswith("usr/share")] == []
    assert not (tmp_path / "tree").exists()
