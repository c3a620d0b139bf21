# SPDX-License-Identifier: Apache-2.0
"""The same machine as a domain of libvirt's, and what the host's own firmware (BIOS) must be set to first."""

from collections.abc import Mapping
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from trustedpods.guest.machine import (
    CBIT,
    QUOTE_SOCKET,
    ROOT_SERIAL,
    SNP_POLICY,
    TDX_ATTRIBUTES,
    Machine,
    Platform,
)

HOST_FIRMWARE: Final[Mapping[Platform, tuple[str, ...]]] = {
    Platform.SNP: (
        "SMEE (Secure Memory Encryption): enabled",
        "SEV control, SEV-ES ASID space limit: enough for every guest (for example 100)",
        "SNP memory (RMP table) coverage: enabled",
        "SEV-SNP support: enabled",
        "IOMMU: enabled",
        "TSME (transparent encryption): as you like, it protects nothing from the host",
        "then: Linux 6.11 with kvm_amd.sev_snp=1, its IOMMU not in passthrough mode; qemu 9.1, libvirt 10.5",
    ),
    Platform.TDX: (
        "TME, TME-MT (total memory encryption): enabled",
        "TDX, SEAM loader: enabled",
        "TME-MT/TDX key split: as many private keys as guests",
        "SGX: enabled (the quotes are signed in an enclave)",
        "hyperthreading: as the policies of your publishers take it",
        "then: Linux 6.16 with kvm_intel.tdx=1; the quote generation service (qgs); qemu 10.1, libvirt 11.6",
    ),
    Platform.EMULATION: ("nothing: the host reads all of this machine, and its measurement is nobody's",),
}
"""Words of firmware differ between makers; these are AMD's and Intel's own."""


def domain_xml(machine: Machine, name: str) -> str:
    """The domain, for `virsh define`; the host's settings stand in a comment before it.

    Where qemu has no firmware of the image's (emulation), libvirt takes qemu's own.
    """
    settings = "\n".join(f"  {line}" for line in HOST_FIRMWARE[machine.platform])
    kind = "qemu" if machine.platform is Platform.EMULATION else "kvm"
    parts = [
        f"<!-- Set in the firmware of the host:\n{settings}\n-->",
        f"<domain type='{kind}'>",
        f"  <name>{escape(name)}</name>",
        f"  <memory unit='MiB'>{machine.memory_mib}</memory>",
        *_memory(machine),
        f"  <vcpu placement='static'>{machine.vcpus}</vcpu>",
        *_boot(machine),
        f"  <features>{''.join(_features(machine))}</features>",
        *_processor(machine),
        "  <clock offset='utc'><timer name='hpet' present='no'/></clock>",
        "  <on_poweroff>destroy</on_poweroff>",
        "  <on_reboot>destroy</on_reboot>",
        "  <on_crash>destroy</on_crash>",
        *_devices(machine),
        *_security(machine),
        "</domain>",
    ]
    return "\n".join(parts) + "\n"


def _features(machine: Machine) -> list[str]:
    common = ["<acpi/>", "<apic/>", "<smm state='off'/>", "<vmport state='off'/>"]
    return [*common, "<ioapic driver='qemu'/>"] if machine.platform is Platform.TDX else common


def _memory(machine: Machine) -> list[str]:
    if machine.platform is not Platform.SNP:
        return []
    return ["  <memoryBacking><source type='memfd'/><access mode='shared'/></memoryBacking>"]


def _boot(machine: Machine) -> list[str]:
    loader = f"    <loader type='rom'>{escape(str(machine.firmware))}</loader>"
    return [
        "  <os>",
        "    <type arch='x86_64' machine='q35'>hvm</type>",
        *([] if machine.firmware is None else [loader]),
        f"    <kernel>{escape(str(machine.kernel))}</kernel>",
        f"    <initrd>{escape(str(machine.initrd))}</initrd>",
        f"    <cmdline>{escape(machine.line)}</cmdline>",
        "  </os>",
    ]


def _processor(machine: Machine) -> list[str]:
    if machine.platform is Platform.TDX:
        return ["  <cpu mode='host-passthrough'/>"]
    if machine.platform is Platform.EMULATION:
        return ["  <cpu mode='maximum'/>"]
    return [f"  <cpu mode='custom' match='exact' check='none'><model>{escape(machine.model)}</model></cpu>"]


def _devices(machine: Machine) -> list[str]:
    """The root and nothing else: libvirt adds USB, a balloon and a screen where it is not told."""
    iommu = "" if machine.platform is Platform.EMULATION else " iommu='on'"
    console = ["    <serial type='pty'/>"] if machine.console else []
    return [
        "  <devices>",
        "    <disk type='file' device='disk'>",
        f"      <driver name='qemu' type='raw'{iommu}/>",
        f"      <source file={quoteattr(str(machine.root))}/>",
        "      <target dev='vda' bus='virtio'/>",
        "      <readonly/>",
        f"      <serial>{ROOT_SERIAL}</serial>",
        "    </disk>",
        "    <controller type='usb' model='none'/>",
        *console,
        "    <video><model type='none'/></video>",
        "    <memballoon model='none'/>",
        "  </devices>",
    ]


def _security(machine: Machine) -> list[str]:
    if machine.platform is Platform.SNP:
        return [
            "  <launchSecurity type='sev-snp' kernelHashes='yes'>",
            f"    <cbitpos>{CBIT}</cbitpos>",
            "    <reducedPhysBits>1</reducedPhysBits>",
            f"    <policy>{SNP_POLICY:#x}</policy>",
            "  </launchSecurity>",
        ]
    if machine.platform is Platform.TDX:
        return [
            "  <launchSecurity type='tdx'>",
            f"    <policy>{TDX_ATTRIBUTES:#x}</policy>",
            f"    <quoteGenerationService path='{QUOTE_SOCKET}'/>",
            "  </launchSecurity>",
        ]
    return []
