# SPDX-License-Identifier: Apache-2.0
"""The domain for libvirt is the machine that qemu's line starts: the same files, line, shape and policy.

No libvirt was here to take it: its shape is that of libvirt's own examples.
"""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from trustedpods.guest.domain import HOST_FIRMWARE, domain_xml
from trustedpods.guest.machine import QUOTE_SOCKET, ROOT_SERIAL, SNP_POLICY, Machine, Platform

HERE = Path("/srv/an <image> & more")
LINE = "quiet trustedpods.root=aa:bb:1"


def machine(platform: Platform) -> Machine:
    firmware = None if platform is Platform.EMULATION else HERE / "OVMF.fd"
    files = (HERE / "vmlinuz", HERE / "initrd.img", HERE / "root.img")
    return Machine(platform, firmware, *files, LINE, 4, "EPYC-Milan", 8192, False)


@pytest.mark.parametrize("platform", list(Platform))
def test_it_has_the_machines_files_line_and_shape_and_nothing_more(platform):
    root = ElementTree.fromstring(domain_xml(machine(platform), "a & b"))
    assert root.findtext("name") == "a & b"
    assert root.findtext("os/kernel") == f"{HERE}/vmlinuz"
    assert root.findtext("os/initrd") == f"{HERE}/initrd.img"
    assert root.findtext("os/cmdline") == LINE
    assert (root.findtext("vcpu"), root.findtext("memory")) == ("4", "8192")
    assert (root.findtext("os/loader") is None) == (platform is Platform.EMULATION)
    devices = root.find("devices")
    assert devices is not None
    disk = devices.find("disk")
    assert disk is not None
    assert disk.find("source").get("file") == f"{HERE}/root.img"
    assert disk.find("readonly") is not None
    assert disk.findtext("serial") == ROOT_SERIAL
    assert {one.tag: one.get("model") for one in devices if one.tag != "disk"} == {
        "controller": "none", "video": None, "memballoon": "none",
    }  # fmt: skip
    assert [root.findtext(f"on_{event}") for event in ("poweroff", "reboot", "crash")] == ["destroy"] * 3


def test_sev_snp_measures_the_kernel_and_has_the_policy_of_qemus_line():
    root = ElementTree.fromstring(domain_xml(machine(Platform.SNP), "guest"))
    launch = root.find("launchSecurity")
    assert launch is not None
    assert (launch.get("type"), launch.get("kernelHashes")) == ("sev-snp", "yes")
    assert int(launch.findtext("policy") or "", 0) == SNP_POLICY
    assert root.findtext("cpu/model") == "EPYC-Milan"
    assert root.find("memoryBacking/source").get("type") == "memfd"


def test_a_trust_domain_reaches_the_service_that_signs_its_quotes():
    root = ElementTree.fromstring(domain_xml(machine(Platform.TDX), "guest"))
    launch = root.find("launchSecurity")
    assert launch is not None
    assert launch.get("type") == "tdx"
    assert launch.findtext("policy") == "0x10000000"
    assert launch.find("quoteGenerationService").get("path") == QUOTE_SOCKET
    assert root.find("cpu").get("mode") == "host-passthrough"


def test_emulation_is_no_confidential_machine_and_shows_its_log():
    shown = replace(machine(Platform.EMULATION), console=True)
    root = ElementTree.fromstring(domain_xml(shown, "guest"))
    assert root.get("type") == "qemu"
    assert root.find("launchSecurity") is None
    assert root.find("devices/serial") is not None


@pytest.mark.parametrize("platform", list(Platform))
def test_what_to_set_in_the_hosts_firmware_stands_before_it(platform):
    said = domain_xml(machine(platform), "guest").partition("<domain")[0]
    assert said.startswith("<!--")
    assert "--" not in said[4:].rstrip().removesuffix("-->")  # no comment of XML may have it
    for line in HOST_FIRMWARE[platform]:
        assert line in said
