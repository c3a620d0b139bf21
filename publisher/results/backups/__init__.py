# SPDX-License-Identifier: Apache-2.0
"""What verbs return of backups and of their schedules: values, and nothing is done here."""
