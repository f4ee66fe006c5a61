"""The algorithm of ``lua/hit.lua`` in Python: the local fallback without Redis, and the model in tests. Pure."""

from avo_project.lib.bounded_dict import BoundedDict
from throttling.domain.policies import BUCKETS, Hit, Outcome, Policy, WindowStats

_Charges = dict[int, int]  # bucket number -> units
_Window = tuple[int, bool]  # length in seconds, whether it belongs to the allowance


class RollingWindows:
    """Rolling windows in the memory of one process. Evicts the oldest of more than ``max_subjects``."""

    def __init__(self, max_subjects: int = 10_000) -> None:
        self._charges: BoundedDict[str, dict[_Window, _Charges]] = BoundedDict(max_subjects)

    def hit(self, hit: Hit, now_ms: int) -> Outcome:
        """Charges ``hit`` at ``now_ms`` (any clock), or rejects it."""
        windows, policies = self._windows_of(hit.subject), hit.policies + hit.allowance
        names = [(policy.window_seconds, place >= len(hit.policies)) for place, policy in enumerate(policies)]
        for name, policy in zip(names, policies, strict=True):
            windows[name] = _none_ahead(windows.get(name, {}), now_ms // policy.bucket_ms)
        live = [_live(windows[name], policy, now_ms) for name, policy in zip(names, policies, strict=True)]
        wait_ms = max(
            (_wait_ms(charges, policy, hit.cost, now_ms) for charges, policy in zip(live, policies, strict=True)),
            default=0,
        )
        stats = []
        for place, (charges, policy) in enumerate(zip(live, policies, strict=True)):
            bucket = now_ms // policy.bucket_ms
            oldest = min(charges, default=bucket)
            if wait_ms == 0 and place >= hit.checked_only:
                charges[bucket] = charges.get(bucket, 0) + policy.units(hit.cost)
                windows[names[place]] = charges
            stats.append(WindowStats(sum(charges.values()), _gone_at_ms(oldest, policy) - now_ms))
        return Outcome.of(hit, wait_ms, stats, exact=False)

    def _windows_of(self, subject: str) -> dict[_Window, _Charges]:
        windows = self._charges.get(subject)
        if windows is None:
            windows = self._charges[subject] = {}
        return windows


def _none_ahead(charges: _Charges, current: int) -> _Charges:
    """Moves charges ahead of the clock, which has stepped back, to the current bucket."""
    ahead = sum(units for bucket, units in charges.items() if bucket > current)
    if not ahead:
        return charges
    past = {bucket: units for bucket, units in charges.items() if bucket <= current}
    return past | {current: past.get(current, 0) + ahead}


def _live(charges: _Charges, policy: Policy, now_ms: int) -> _Charges:
    first = now_ms // policy.bucket_ms - BUCKETS
    return {bucket: units for bucket, units in charges.items() if bucket >= first}


def _gone_at_ms(bucket: int, policy: Policy) -> int:
    """When the whole of ``bucket`` has left the window."""
    return (bucket + BUCKETS + 1) * policy.bucket_ms


def _wait_ms(charges: _Charges, policy: Policy, cost: int, now_ms: int) -> int:
    missing = sum(charges.values()) + policy.units(cost) - policy.limit
    if policy.shadow or missing <= 0:
        return 0
    for bucket in sorted(charges):
        missing -= charges[bucket]
        if missing <= 0:
            break
    return _gone_at_ms(bucket, policy) - now_ms
