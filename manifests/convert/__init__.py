# SPDX-License-Identifier: Apache-2.0
"""Files of other formats become manifests: each field converted, or one line that says why it cannot be.

A conversion never passes a field over in silence: what it drops because it changes nothing, and what it makes
up, are notes.
"""
