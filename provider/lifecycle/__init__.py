# SPDX-License-Identifier: Apache-2.0
"""A pod's way from an accepted bundle to its removal: one worker for each, and the loop that reconciles.

It carries out what `core.lifecycle` decides; scaling and billing are other rooms' work.
"""
