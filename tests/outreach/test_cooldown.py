from outreach.domain.cooldown import InboxCooldown


def test_an_inbox_rests_longer_each_time_and_a_success_ends_it() -> None:
    cooldown = InboxCooldown(failures=3, base_seconds=10, cap_seconds=35)
    cooldowns = [cooldown.cooldown_seconds(1, failed=True) for _ in range(6)]
    assert cooldowns == [None, None, 10, 20, 35, 35]
    assert cooldown.cooldown_seconds(1, failed=False) is None
    assert cooldown.cooldown_seconds(1, failed=True) is None


def test_inboxes_do_not_count_for_each_other() -> None:
    cooldown = InboxCooldown(failures=2, base_seconds=10, cap_seconds=100)
    assert cooldown.cooldown_seconds(1, failed=True) is None
    assert cooldown.cooldown_seconds(2, failed=True) is None
    assert cooldown.cooldown_seconds(1, failed=True) == 10


def test_a_very_long_row_is_no_overflow() -> None:
    cooldown = InboxCooldown(failures=1, base_seconds=1, cap_seconds=900)
    assert [cooldown.cooldown_seconds(1, failed=True) for _ in range(2000)][-1] == 900
