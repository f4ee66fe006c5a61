"""The limits of the lag as options of ``signal_lag`` and ``watch_signals``."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError

from signals_app.conf import SignalsConf
from signals_app.domain.lag import MAX_PENDING, LagLimits


def add_lag_options(parser: ArgumentParser, max_age_seconds: float | None = None) -> None:
    """``--max-pending``, ``--max-lag``, and ``--max-age`` with the default ``max_age_seconds``."""
    parser.add_argument(
        "--max-pending",
        type=int,
        default=MAX_PENDING,
        metavar="N",
        help=f"Maximum pending entries per group (default: {MAX_PENDING}).",
    )
    parser.add_argument(
        "--max-lag", type=int, metavar="N", help="Maximum undelivered entries per group (default: no limit)."
    )
    default = "no limit" if max_age_seconds is None else f"{max_age_seconds:g}"
    parser.add_argument(
        "--max-age",
        type=float,
        default=max_age_seconds,
        metavar="SECONDS",
        help=f"Maximum age of the oldest unhandled entry (default: {default}).",
    )


def lag_limits(options: Mapping[str, Any]) -> LagLimits:
    """The limits of the options and of the settings. Raises CommandError."""
    conf = SignalsConf.load()
    named = (options["max_pending"], options["max_lag"], options["max_age"])
    try:
        return LagLimits(*named, max_length=conf.hard_cap, max_dead=conf.dead_cap)
    except ValueError as error:
        raise CommandError(str(error)) from error
