"""The guard against a fault of the inbox that no rule foresaw: several recipients in a row are refused for good."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from outreach.domain.reservation import Kind

FINAL_KINDS: tuple[Kind, ...] = ("sent", "suppress", "give_up")
"""The outcomes that end or continue a run of refusals; temporary ones do neither."""


@dataclass(frozen=True, slots=True)
class RefusalLimits:
    """The numbers of different recipients that must be refused for good in a row to make it the inbox's fault:
    ``recipients`` for any reason, ``contents`` for their mail or their own policy."""

    recipients: int = 5
    contents: int = 2

    def is_reached(self, run: Sequence[tuple[str, str]]) -> bool:
        """Whether a run of refusals reaches a limit: (kind, recipient key), newest first."""
        contents = itertools.takewhile(lambda one: one[0] == "give_up", run)
        return len({key for _, key in run}) >= self.recipients or len({key for _, key in contents}) >= self.contents
