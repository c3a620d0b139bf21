# SPDX-License-Identifier: Apache-2.0
"""What verbs return that carry bytes for as long as the caller wants: values, and nothing is done here."""
