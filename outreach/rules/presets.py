"""Limits of well-known mail providers, as starting points for an inbox.

gmail: 500 messages a day for a personal account, 2,000 for Workspace (support.google.com/a/answer/166852, "Gmail
sending limits in Google Workspace"). exchange: 30 messages a minute and 10,000 recipients a day (learn.microsoft.com,
"Exchange Online limits", section Sending limits). The gaps are ours: what a person could have typed.
"""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "gmail": {"per_day": 500, "per_minute": 20, "min_gap_seconds": 2.0},
    "gmail-workspace": {"per_day": 2000, "per_minute": 30, "min_gap_seconds": 1.0},
    "exchange": {"per_day": 10_000, "per_minute": 30, "min_gap_seconds": 1.0},
}
