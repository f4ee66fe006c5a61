"""An entry of a stream as it was read: its id and its raw fields."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    entry_id: str
    fields: Mapping[bytes, bytes]
