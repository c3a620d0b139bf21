# SPDX-License-Identifier: Apache-2.0
"""One cluster's part of a network that several people manage: its lease, and its copy of the document. Pure.

It knows nothing of other clusters, never opens a document, and never looks at a client's clock.
"""
