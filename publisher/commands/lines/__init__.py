# SPDX-License-Identifier: Apache-2.0
"""Results as text for people, from the same values that `-o json` prints. It asks nobody."""
