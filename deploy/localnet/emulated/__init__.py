# SPDX-License-Identifier: Apache-2.0
"""A localnet's provider in an emulated machine of the measured image: what the host does for it.

Chain and publishers are the host's, Kubernetes and the daemon the machine's. Emulation keeps nothing from
its host; in the place of a processor the host measures what it boots, and the localnet's chip signs it.
"""
