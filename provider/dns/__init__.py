# SPDX-License-Identifier: Apache-2.0
"""The only door to DNS: questions to the operator's resolvers, and the wire format of pods' questions.

It decides nothing: who may ask for what is the business of `names`.
"""
