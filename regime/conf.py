"""The settings of the regime cache."""

from dataclasses import dataclass

from avo_project.runtime.conf import Conf, setting


@dataclass(frozen=True, slots=True)
class RegimeConf(Conf):
    NAME = "REGIME"

    # Writing: states per call, and calls on their way to each server. docs/decisions/regime.md has the measurements.
    write_batch: int = 3
    write_calls_in_flight: int = 2

    # Backfill without --batch: keys per step, and the pause after each step that readers use.
    backfill_batch: int = 12
    backfill_pause_seconds: float = 0.001

    # The collection: the age at which it is rebuilt; how often a process checks for a newer version;
    # how long a request waits for a missing one; how long after a request that could do without it loads one; how long
    # a replaced version stays for the cursors into it.
    collection_max_age_seconds: float = 600.0
    collection_check_seconds: float = 0.05
    collection_wait_seconds: float = 1.0
    collection_load_pause_seconds: float = 0.25
    collection_lease_seconds: float = setting(60.0, at_least=1)
    replaced_version_seconds: int = 900
    ledger_life_seconds: int = 35 * 86_400

    # A cycle of our writers is overdue after this: half of a state's life.
    cycle_overdue_seconds: float = 43_200.0

    # How old a copy of an unchanged answer may be and still be confirmed with 304.
    confirm_seconds: int = setting(60, at_least=0)

    # Macro answers: fresh for, and served for so long after that when the database fails.
    macro_fresh_seconds: int = 300
    macro_stale_seconds: int = 86_400
