# SPDX-License-Identifier: Apache-2.0
"""The page of `trustedpods ui`: a market and one's pods in a browser of this machine.

It shows what `Client` returns and changes nothing. `views` turn results into texts, templates into HTML;
`readings` ask a provider once for all tabs; `access` says who may look; `app` and `server` alone know HTTP.
"""
