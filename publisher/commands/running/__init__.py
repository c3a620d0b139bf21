# SPDX-License-Identifier: Apache-2.0
"""What a person types about a pod that runs, beside its deploy: its history, its usage, an earlier version.

The module `exec`, which is older, stands one folder above.
"""
