# SPDX-License-Identifier: Apache-2.0
"""The verbs of `trustedpods-provider`: options in, exit codes out. Only click is imported before one runs."""
