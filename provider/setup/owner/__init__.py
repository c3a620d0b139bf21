# SPDX-License-Identifier: Apache-2.0
"""What the owner signs, as data for any wallet and drawn for a camera. Pure: nothing is signed or sent."""
