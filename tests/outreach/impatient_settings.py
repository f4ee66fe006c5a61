"""The project's settings with seconds in place of hours, for workers against a relay that refuses."""

from avo_project.settings import *  # noqa: F403
from avo_project.settings import OUTREACH as _OUTREACH

OUTREACH = {
    **_OUTREACH,
    "RETRY_BASE_SECONDS": 1.0,
    "RETRY_CAP_SECONDS": 4.0,
    "HOLD_BASE_SECONDS": 1.0,
    "HOLD_CAP_SECONDS": 4.0,
    "BREAKER_BASE_SECONDS": 0.5,
    "BREAKER_CAP_SECONDS": 4.0,
}
