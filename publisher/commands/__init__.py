# SPDX-License-Identifier: Apache-2.0
"""The verbs of `trustedpods`: options in, exit codes out. Only click is imported before a verb runs."""
