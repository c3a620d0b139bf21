# SPDX-License-Identifier: Apache-2.0
"""Links to owners of other networks: what a signed word of theirs changes, and whose nodes open. Pure."""
