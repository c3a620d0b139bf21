# SPDX-License-Identifier: Apache-2.0
"""Every rule by which something is refused, in one list: what it means, and what a person does about it.

Checks of evidence (`protocol.attestation.checks`) and errors of the contracts have lists of their own.
"""
