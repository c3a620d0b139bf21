# SPDX-License-Identifier: Apache-2.0
"""AMD SEV-SNP: reports, the certificates behind them, and what a policy may ask of a machine. Pure.

Every refusal carries the name of the check that failed.
"""
