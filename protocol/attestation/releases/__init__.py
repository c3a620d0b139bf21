# SPDX-License-Identifier: Apache-2.0
"""Measurements of machine images as their makers publish them: signed, ageing, and never going back. Pure.

It computes none (that is `trustedpods.guest`) and judges no evidence; a policy may take its values from here.
"""
