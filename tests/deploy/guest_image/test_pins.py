# SPDX-License-Identifier: Apache-2.0
"""Pins: what is written is read, nothing else is, and a package that is gone is said by name."""

import pytest

from tests.deploy.guest_image.builder import FOLDER, pins, wheels

PIN = pins.Pin("some-package", "1:2.0~rc1-3+b2", "a" * 64)
TEXT = pins.written(pins.Pins(1_790_000_000, (PIN,)))


def test_the_projects_own_pins_are_in_order_and_leave_out_what_they_should():
    found = pins.read((FOLDER / "pins.txt").read_text())
    assert pins.written(found) == (FOLDER / "pins.txt").read_text()
    names = {pin.name for pin in found.packages}
    assert {"libseccomp2", "haproxy", "docker-registry", "python3.11-minimal"} <= names
    assert not names & {
        "containerd",
        "runc",
        "apt",
        "dpkg",
        "perl-base",
        "login",
        "passwd",
        "udev",
        "systemd",
        "kmod",
        "openssh-server",
        "dash",
        "bash",
        "busybox",
    }
    assert sum(name.startswith("linux-source-") for name in names) == 1
    assert not [name for name in names if name.startswith(("linux-image-", "binutils", "gcc"))]


@pytest.mark.parametrize(
    "text",
    [
        "", "epoch 1790000000x\n", TEXT.replace("a" * 64, "A" * 64), TEXT + "rest\n",
        TEXT.replace("epoch", "time"), TEXT + TEXT, TEXT.replace("some-package", "Some"),
        TEXT + f"{'b' * 64}  earlier 1\n",
    ],
)  # fmt: skip
def test_a_text_that_was_not_written_here_is_refused(text):
    with pytest.raises(wheels.NotBuildable, match="make guest-pins"):
        pins.read(text)


def test_a_package_that_the_registry_no_longer_has_is_named_with_what_to_do():
    other = pins.Pin("other", "1", "b" * 64)
    pins.refuse_gone([PIN, other], {"some-package": {PIN.version, "3"}, "other": {"1"}})
    with pytest.raises(wheels.NotBuildable) as refused:
        pins.refuse_gone([PIN, other], {"some-package": {"1:2.1", "1:2.2"}})
    assert str(refused.value) == (
        "the registry no longer has some-package 1:2.0~rc1-3+b2 (there: 1:2.1, 1:2.2); other 1 (there: none)."
        " `make guest-pins` writes new pins, of what the registry has today"
    )


def test_what_apt_prints():
    lines = "Reading\n'file:/a' a_1%3a2-1_amd64.deb 12 MD5Sum:ab\n'file:/b' b_2_all.deb 7 \n"
    assert pins.chosen(lines) == {"a": "1:2-1", "b": "2"}
    with pytest.raises(wheels.NotBuildable, match="apt-get update"):
        pins.chosen("Reading package lists...\n")
    stanza = f"Package: a\nVersion: 1:2-1\nDescription: x\n SHA256: no\nSHA256: {'c' * 64}\n"
    assert pins.described(f"{stanza}\n{stanza}") == [pins.Pin("a", "1:2-1", "c" * 64)] * 2
    assert pins.described("Package: a\nVersion: 1:2-1\nDescription: installed by hand\n") == []


def test_names_and_what_is_left_out():
    asked = pins.wanted("# a comment\nrunc\n\n-gpg*\n-apt\n")
    assert (asked.names, asked.left_out) == (("runc",), ("gpg*", "apt"))
