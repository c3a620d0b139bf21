# SPDX-License-Identifier: Apache-2.0
"""Backups of what a provider has outside of Kubernetes: books, keys, certificates and settings, in one file.

It reads a running daemon's books, and puts back only where none runs. It keeps no key of a boot and no
owner's key, no image and no blob, and it does nothing for class `sealed`: there a restore is a rollback.
"""
