# SPDX-License-Identifier: Apache-2.0
"""Networks of pods as this cluster keeps them: each one's lease and copy of the document, durably.

It never opens a document and never compares clusters: what may be written says the core, by whom the team.
"""
