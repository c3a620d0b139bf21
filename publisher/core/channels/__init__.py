# SPDX-License-Identifier: Apache-2.0
"""What becomes of a channel that pays for no pod any more, and when another provider is tried. Pure."""
