# SPDX-License-Identifier: Apache-2.0
"""The parts of a Pod manifest, each with its types, bounds and units. Fields are named as in a PodSpec.

Nothing here reads a file, or compares one part with another: `check` does.
"""
