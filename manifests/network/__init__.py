# SPDX-License-Identifier: Apache-2.0
"""`kind: Network`: a file that names pods, their clusters and the team; read with the files of its nodes.

It knows clusters by their names alone; which provider each is, and what runs there, others say.
"""
