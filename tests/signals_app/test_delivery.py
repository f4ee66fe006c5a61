from signals_app.domain.delivery import retry_after_seconds, too_often


def test_the_wait_doubles_up_to_a_minute() -> None:
    assert [retry_after_seconds(deliveries) for deliveries in (1, 2, 3, 8, 10_000)] == [0.5, 1, 2, 60, 60]


def test_too_often_means_more_than_the_limit() -> None:
    assert too_often(5, 5) is None
    verdict = too_often(6, 5)
    assert verdict is not None
    assert verdict.reason == "too-many-deliveries: delivered 6 times, 5 at most"
