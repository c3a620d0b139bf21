# SPDX-License-Identifier: Apache-2.0
"""Who pays for deposits where it is not the key that commands pods: a signer's account, or a Safe. Pure."""
