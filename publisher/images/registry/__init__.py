# SPDX-License-Identifier: Apache-2.0
"""Images of registries: resolved to a digest, fetched into the cache, and read there as an archive is.

A registry is never trusted: sizes are bounded before anything is taken, each piece is compared with its
digest, and credentials go to the registry that they are for, over TLS, and to nobody else.
"""
