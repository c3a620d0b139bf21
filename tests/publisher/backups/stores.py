# SPDX-License-Identifier: Apache-2.0
"""A store of which the process dies after so many requests."""


class CutOff(BaseException):
    """The process is gone: nothing of it runs on."""


class DyingStore:
    """*store*, of which requests after the first *left* are not made."""

    def __init__(self, store, left):
        self._store, self._left = store, left

    @property
    def where(self):
        return self._store.where

    def put(self, name, data):
        self._count()
        self._store.put(name, data)

    def get(self, name, most):
        self._count()
        return self._store.get(name, most)

    def listed(self, prefix):
        self._count()
        return self._store.listed(prefix)

    def delete(self, name):
        self._count()
        self._store.delete(name)

    def _count(self):
        if not self._left:
            raise CutOff
        self._left -= 1
