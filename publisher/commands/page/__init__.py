# SPDX-License-Identifier: Apache-2.0
"""What a person types to see a market and pods in a browser. Only click is imported before the verb runs."""
