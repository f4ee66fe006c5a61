"""A dictionary of bounded size."""

import threading
from collections import OrderedDict
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class BoundedDict(OrderedDict[K, V]):
    """Holds ``most`` keys (1 or more): setting a new key drops the oldest ones. Several threads may use it.

    Setting a key again keeps its age. Dropping is O(1), which the first key of a plain dict is not once many were
    dropped before it.
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most
        self._lock = threading.Lock()

    def __setitem__(self, key: K, value: V) -> None:
        if key in self:
            super().__setitem__(key, value)
            return
        with self._lock:
            while len(self) >= self._most:
                self.popitem(last=False)
            super().__setitem__(key, value)
