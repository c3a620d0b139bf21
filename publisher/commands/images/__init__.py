# SPDX-License-Identifier: Apache-2.0
"""What a person types about images alone, which go to a provider ahead of a version."""
