# SPDX-License-Identifier: Apache-2.0
"""What a publisher accepts: the policy as a value, as a file, and drafted from evidence.

It holds no verdict: `attestation.verdict` holds evidence against it.
"""
