from typing import Any

import pytest

from signals_app.conf import SignalsConf
from signals_app.domain.delivery import RetryPolicy


def test_the_retry_policy_is_a_setting(settings: Any) -> None:
    assert SignalsConf.load().retry_policy() == RetryPolicy(5, 0.5, 2.0, 60.0)
    settings.SIGNALS = settings.SIGNALS | {"MAX_DELIVERIES": 9, "RETRY_BASE_SECONDS": 10, "RETRY_CAP_SECONDS": 600}
    assert SignalsConf.load().retry_policy() == RetryPolicy(9, 10, 2.0, 600)
    assert SignalsConf.load().retry_policy(max_deliveries=3) == RetryPolicy(3, 10, 2.0, 600)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"RETRY_BASE": 1}, "SIGNALS: unknown setting RETRY_BASE. Known settings: .*RETRY_BASE_SECONDS"),
        ({"retry_factor": 3}, "unknown setting retry_factor"),
        ({"RETRY_FACTOR": 0}, "SIGNALS: RETRY_FACTOR must be 1 to 100, not 0"),
    ],
)
def test_an_unknown_or_impossible_setting_stops_the_start(settings: Any, change: dict[str, Any], message: str) -> None:
    from django.apps import apps

    settings.SIGNALS = settings.SIGNALS | change
    with pytest.raises(SystemExit, match=message):
        apps.get_app_config("signals_app").ready()
