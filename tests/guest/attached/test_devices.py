# SPDX-License-Identifier: Apache-2.0
"""What qemu is told of a guest's other disks and its card."""

import shlex
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.paths import ROOT
from trustedpods.guest.attached.devices import (
    CONFIGURATION_SERIAL,
    DATA_SERIAL,
    Answering,
    Attached,
    Forward,
    attached_words,
)
from trustedpods.guest.machine import Platform
from trustedpods.localnet.guest import data_disk

LONGEST_SERIAL = 20
"""Bytes of a virtio disk's serial number; qemu cuts what is longer."""


def test_the_configuration_cannot_be_written_and_the_data_can():
    words = attached_words(Platform.EMULATION, Attached(Path("/c,d"), Path("/data"), (Forward(14001, 4001),)))
    drives = [words[place + 1] for place, word in enumerate(words) if word == "-drive"]
    assert drives == [
        "id=configuration,if=none,format=raw,readonly=on,file=/c,,d",
        "id=data,if=none,format=raw,readonly=off,file=/data",
    ]
    assert "user,id=card,hostfwd=tcp:127.0.0.1:14001-:4001" in words


@pytest.mark.parametrize("platform", list(Platform))
def test_every_device_bounces_where_memory_is_encrypted(platform):
    words = attached_words(platform, Attached(Path("/c"), Path("/d")))
    devices = [words[place + 1] for place, word in enumerate(words) if word == "-device"]
    assert len(devices) == 3
    for device in devices:
        assert ("iommu_platform=on" in device) == (platform is not Platform.EMULATION)


def test_serial_numbers_are_those_that_the_guest_looks_for():
    program = (ROOT / "deploy/guest_image/init/configuration.go").read_text()
    assert f'configurationSerial = "{CONFIGURATION_SERIAL}"' in program
    assert data_disk.SERIAL == DATA_SERIAL
    assert max(len(CONFIGURATION_SERIAL), len(DATA_SERIAL)) <= LONGEST_SERIAL


def test_a_program_answers_at_an_address_of_this_machines_network_alone():
    program = ("/py,thon", "-m", "signer", "/a folder/it's")
    answering = Answering(IPv4Address("10.0.2.100"), 4050, program)
    words = attached_words(Platform.EMULATION, Attached(Path("/c"), answering=(answering,)))
    (net,) = [word for word in words if word.startswith("user,")]
    head, _, command = net.partition("-cmd:")
    assert head == "user,id=card,guestfwd=tcp:10.0.2.100:4050"
    assert tuple(shlex.split(command.replace(",,", ","))) == program
