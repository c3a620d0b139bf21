# SPDX-License-Identifier: Apache-2.0
"""Signatures beside images: where they lie, and whether somebody made them whom a policy demands.

What a signature is, and what it says, is `protocol.images.signatures`. Nobody is asked where a policy demands
no signer.
"""
