# SPDX-License-Identifier: Apache-2.0
"""Images that a program of this machine has or makes: asked for an archive, which is then read as any other.

Docker, Podman, containerd and builders are run as programs: each knows its own store.
"""
