# SPDX-License-Identifier: Apache-2.0
"""What a machine image measures to, computed from its files without hardware.

It starts no machine and judges none: `protocol.attestation` holds evidence against such numbers.
"""
