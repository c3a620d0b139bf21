# SPDX-License-Identifier: Apache-2.0
"""Where evidence comes from: the kernel's TEE, a localnet's simulated chip, or nothing (class open).

Collects and checks that what it collected binds what was asked; never judges whether a machine is
good enough, which is for whoever asks (protocol/attestation).
"""

from trustedpods.provider.tee.collector import Collector, NoTee, SimulatedTee
from trustedpods.provider.tee.hardware import HardwareTee
from trustedpods.provider.tee.setting import from_setting

__all__ = ["Collector", "HardwareTee", "NoTee", "SimulatedTee", "from_setting"]
