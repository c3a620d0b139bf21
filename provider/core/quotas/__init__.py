# SPDX-License-Identifier: Apache-2.0
"""How much of a provider one tenant may have, decided from numbers alone. Nothing is counted or kept here."""
