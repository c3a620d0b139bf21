# SPDX-License-Identifier: Apache-2.0
"""Variables in a Compose file: how they are written, what files set them, and which are not set. Pure."""
