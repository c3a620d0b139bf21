# SPDX-License-Identifier: Apache-2.0
"""The market as a client sees it: its chain and token, its providers, and where pods of this key are.

It opens conversations; what is said in them belongs to the verbs.
"""
