# SPDX-License-Identifier: Apache-2.0
"""The operator's side of a change of keys: does what is his to do, says what is others', and waits for it."""
