# SPDX-License-Identifier: Apache-2.0
"""What anybody may know of the provider: its offer and its measured service, signed, as a page and as JSON.

Fields are named one by one, and none is of a pod or of a publisher. It asks nobody but the books, the metrics
and the chain's token; HAProxy answers for it, so that views cost the daemon nothing.
"""
