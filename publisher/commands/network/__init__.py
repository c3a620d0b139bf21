# SPDX-License-Identifier: Apache-2.0
"""What a person types about whole networks of pods, and about the contexts in which clusters have providers.

Like all commands it speaks with the person and decides nothing; leases and copies are in the room above.
"""
