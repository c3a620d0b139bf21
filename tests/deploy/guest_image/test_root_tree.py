# SPDX-License-Identifier: Apache-2.0
"""Packages' files in the root: nothing outside, no doors, and the same tree whoever builds it."""

import os
import stat
import tarfile
from pathlib import Path

import pytest

from tests.deploy.guest_image.builder import EPOCH, archive_of, root_tree, settling, wheels
from trustedpods.provider.cluster.isolation_proof import busybox


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def all_of(root: Path) -> dict[str, tuple[int, float, bytes]]:
    """Mode, time and content of everything in a tree."""
    found = {}
    for path in sorted(root.rglob("*")):
        facts = path.lstat()
        content = (
            os.readlink(path).encode() if path.is_symlink() else b"" if path.is_dir() else path.read_bytes()
        )
        mode = 0 if path.is_symlink() else stat.S_IMODE(facts.st_mode)
        found[path.relative_to(root).as_posix()] = (mode, facts.st_mtime, content)
    return found


def test_files_lie_where_debian_has_merged_them_and_doors_are_left_out(tmp_path):
    stream = archive_of(
        ("./bin/cat", b"cat", 0o755), ("./bin/su", b"su", 0o4755), ("./usr/sbin/agetty", b"getty", 0o755),
        ("./usr/share/doc/cat/readme", b"text", 0o644), ("./var/lib/x", b"x", 0o644),
        ("./usr/lib/su/data", b"d", 0o644),
        link("./usr/bin/dog", "bin/cat", tarfile.LNKTYPE), link("./lib/libx.so", "libx.so.1"),
    )  # fmt: skip
    root_tree.extract(stream, tmp_path)
    assert {name for name, (_, _, content) in all_of(tmp_path).items() if content} == {
        "usr/bin/cat", "usr/bin/dog", "usr/lib/libx.so", "usr/lib/su/data",
    }  # fmt: skip
    assert (tmp_path / "usr/bin/dog").read_bytes() == b"cat"


def test_the_program_of_probe_pods_is_where_the_daemon_reads_it_and_nobody_starts_it(tmp_path):
    root_tree.extract(archive_of(("./bin/busybox", b"program", 0o755)), tmp_path)
    found = {name: mode for name, (mode, _, content) in all_of(tmp_path).items() if content}
    assert found == {"usr/lib/trustedpods/probe/busybox": 0o444}
    assert Path("/", *found) in busybox.PLACES


@pytest.mark.parametrize(
    "members",
    [
        [("../out", b"x", 0o644)],
        [link("./etc/way", "/"), ("./etc/way/out", b"x", 0o644)],
        [link("./etc/way", "../../.."), ("./etc/way/out", b"x", 0o644)],
        [link("./dev/null", "", tarfile.CHRTYPE)],
    ],
)
def test_what_leads_out_of_the_root_is_refused(tmp_path, members):
    root = tmp_path / "a" / "root"
    root.mkdir(parents=True)
    with pytest.raises(wheels.NotBuildable, match=r"leads out of the root|neither a file"):
        root_tree.extract(archive_of(*members), root)
    assert not (tmp_path / "out").exists()


def test_a_link_is_replaced_and_not_written_through(tmp_path):
    root_tree.extract(
        archive_of(("./etc/a", b"first", 0o644), link("./etc/b", "a"), ("./etc/b", b"second", 0o644)),
        tmp_path,
    )
    assert (tmp_path / "etc/a").read_bytes() == b"first"
    assert (tmp_path / "etc/b").read_bytes() == b"second"


def test_a_hard_link_to_a_link_is_that_link(tmp_path):
    root = tmp_path / "root"
    (tmp_path / "outside").write_text("of the building machine")
    root.mkdir()
    way = link("./etc/way", str(tmp_path / "outside"))
    root_tree.extract(archive_of(way, link("./etc/again", "./etc/way", tarfile.LNKTYPE)), root)
    assert (root / "etc/again").readlink() == tmp_path / "outside"


def test_a_hard_link_out_of_the_root_is_refused(tmp_path):
    root = tmp_path / "root"
    (tmp_path / "outside").write_text("of the building machine")
    root.mkdir()
    members = (link("./etc/way", str(tmp_path)), link("./etc/a", "./etc/way/outside", tarfile.LNKTYPE))
    with pytest.raises(wheels.NotBuildable, match="leads out of the root"):
        root_tree.extract(archive_of(*members), root)


def test_what_follows_the_end_of_an_archive_is_read(tmp_path, monkeypatch):
    """More than a pipe holds: who writes it would be ended by a pipe that nobody reads."""
    tool, root = tmp_path / "dpkg-deb", tmp_path / "root"
    tool.write_text('#!/bin/sh\ncat "$2" && exec head -c 1000000 /dev/zero\n')
    tool.chmod(0o755)
    root.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "some.deb").write_bytes(archive_of(("./etc/a", b"a", 0o644)).read())
    root_tree.unpack([tmp_path / "some.deb"], root)
    assert (root / "etc/a").read_bytes() == b"a"


def test_a_file_that_is_no_package_is_named(tmp_path):
    package, root = tmp_path / "some.deb", tmp_path / "root"
    package.write_bytes(b"no package")
    root.mkdir()
    with pytest.raises(wheels.NotBuildable, match=r"some\.deb is no Debian package"):
        root_tree.unpack([package], root)


def test_two_builders_make_one_tree(tmp_path):
    members = [("./usr/bin/x", b"x", 0o4755), ("./etc/secret", b"s", 0o600), link("./etc/link", "secret")]
    trees = []
    for name, umask, order in (("one", 0o077, 1), ("two", 0o000, -1)):
        root, kept = tmp_path / name, os.umask(umask)
        try:
            root.mkdir()
            root_tree.extract(archive_of(*members[::order]), root)
            root_tree.complete(root)
        finally:
            os.umask(kept)
        settling.settle(root, EPOCH)
        trees.append(all_of(root))
    assert trees[0] == trees[1]
    assert {moment for _, moment, _ in trees[0].values()} == {EPOCH}
    assert {mode for mode, _, _ in trees[0].values()} == {0, 0o755, 0o644}
    assert trees[0]["usr/bin/x"][0] == 0o755
    assert trees[0]["etc/secret"][0] == 0o644


def test_no_account_has_a_password_or_a_shell(tmp_path):
    root_tree.complete(tmp_path)
    for line in (tmp_path / "etc/passwd").read_text().splitlines():
        fields = line.split(":")
        assert (fields[1], fields[6]) == ("*", "/usr/sbin/nologin")
    assert not (tmp_path / "usr/sbin/nologin").exists()
