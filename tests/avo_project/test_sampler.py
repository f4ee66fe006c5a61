"""Samples over time: one per step however many samplers, bounded in number, drawn as lines."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

from avo_project import keys
from avo_project.console.panels import SPANS, Span, chart_data
from avo_project.console.registry import Chart, HealthStatus, Level, Line, RoleConsole
from avo_project.observability.sampler import Sampler, SampleSource
from avo_project.observability.timeseries import COARSE, FINE, History, Resolution, Sample, downsampled, line
from avo_project.runtime.role_config import declared

NOON = 1_790_000_000 // 600 * 600


@pytest.fixture
def history(redis_of: Any) -> History:
    return History(redis_of("signals"), "signals")


def a_source(figures: Mapping[str, float]) -> SampleSource:
    return SampleSource("signals", "signals", lambda: figures)


def a_console(*charts: Chart) -> RoleConsole:
    return RoleConsole(a_source({}), "Signals", "", lambda now: HealthStatus(Level.GREEN, "", ""), charts)


def test_the_first_sampler_of_a_step_wins(history: History) -> None:
    assert history.is_due(NOON)
    assert history.record({"lag": 3}, NOON + 1.5)
    assert not history.record({"lag": 99}, NOON + 9)
    assert not history.is_due(NOON + 9.9)
    assert history.is_due(NOON + 10)
    assert history.record({"lag": 4.5}, NOON + 10)
    assert history.newest(5) == [Sample(NOON, {"lag": 3.0}), Sample(NOON + 10, {"lag": 4.5})]


def test_a_sampler_whose_clock_is_behind_changes_nothing(history: History) -> None:
    history.record({"lag": 1}, NOON + 100)
    assert not history.record({"lag": 2}, NOON)


def test_no_more_is_kept_than_was_said(history: History, redis_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("avo_project.observability.timeseries.FINE", Resolution(10, 3))
    for n in range(7):
        history.record({"lag": n}, NOON + 10 * n)
    assert redis_of("signals").xlen(keys.history("signals", 10)) == 3
    assert [sample.values["lag"] for sample in history.newest(9)] == [4, 5, 6]


def test_ended_steps_are_downsampled_once_each(history: History) -> None:
    for n in range(130):  # two coarse steps and a part of the third
        history.record({"lag": n, "published_total": 10 * n}, NOON + 10 * n)
    now = NOON + 1299
    assert history.downsample(now) == 2
    assert history.downsample(now) == 0
    first, second = history.between(COARSE, NOON, NOON + 3600)
    assert first == Sample(NOON, {"lag": 29.5, "published_total": 590.0})
    assert second.at == NOON + 600
    assert history.downsample(NOON + 1800) == 1


def test_a_range_is_closed_at_both_ends_and_may_be_empty(history: History) -> None:
    for n in range(5):
        history.record({"lag": n}, NOON + 10 * n)
    assert [sample.at for sample in history.between(FINE, NOON + 10, NOON + 30)] == [NOON + 10, NOON + 20, NOON + 30]
    assert history.between(FINE, NOON + 100, NOON) == []


@given(st.lists(st.tuples(st.integers(0, 400), st.floats(-1e6, 1e6)), unique_by=lambda pair: pair[0]))
def test_downsampling_loses_no_step_and_stays_within_what_it_saw(pairs: list[tuple[int, float]]) -> None:
    samples = [Sample(at * 10, {"lag": value}) for at, value in sorted(pairs)]
    wide = downsampled(samples, 600)
    assert {sample.at for sample in wide} == {sample.at // 600 * 600 for sample in samples}
    for one in wide:
        held = [sample.values["lag"] for sample in samples if one.at <= sample.at < one.at + 600]
        assert min(held) - 1e-6 <= one.values["lag"] <= max(held) + 1e-6


def test_a_total_is_shown_as_its_rate_and_never_across_a_gap_or_a_new_beginning() -> None:
    totals = {0: 100, 10: 150, 20: 150, 200: 900, 210: 5, 220: 25}
    samples = [Sample(at, {"published_total": total}) for at, total in totals.items()]
    rates = line(samples, "published_total", list(range(0, 230, 10)))
    by_second = {at * 10: rate for at, rate in enumerate(rates) if rate is not None}
    assert by_second == {10: 5.0, 20: 0.0, 220: 2.0}


def test_a_figure_is_shown_where_there_is_one() -> None:
    assert line([Sample(10, {"lag": 7})], "lag", [0, 10, 20]) == [None, 7, None]


class TestSampler:
    def test_one_step_samples_every_role_once(self, history: History) -> None:
        one, other = Sampler([a_source({"lag": 3})]), Sampler([a_source({"lag": 4})])
        assert (one.step(0.0), one.step(1.0)) == (1, 0)
        assert len(history.newest(9)) == 1
        other.step(0.0)
        assert history.newest(9)[0].values["lag"] == 3

    def test_a_role_that_is_down_is_logged_once_and_harms_no_other(
        self, history: History, caplog: pytest.LogCaptureFixture
    ) -> None:
        def down() -> Mapping[str, float]:
            raise RedisConnectionError("gone")

        broken = SampleSource("outreach", "outreach", down)
        sampler = Sampler([broken, a_source({"lag": 1})])
        assert sampler.step(0.0) == 1
        sampler.step(100.0)
        assert caplog.text.count("sampling outreach failed") == 1

    @pytest.mark.parametrize("failure", [RedisClusterException("no node"), ValueError("odd"), KeyError("gone")])
    def test_no_failure_of_a_sample_ends_the_loop_beside_it(
        self, history: History, caplog: pytest.LogCaptureFixture, failure: Exception
    ) -> None:
        def fails() -> Mapping[str, float]:
            raise failure

        broken = SampleSource("signals", "signals", fails)
        sampler = Sampler([broken])
        assert [sampler.step(now) for now in (0.0, 100.0, 200.0)] == [0, 0, 0]
        assert caplog.text.count(f"sampling signals failed: {type(failure).__name__}") == 1

    @pytest.mark.real_server
    def test_what_is_not_due_asks_redis_nothing_and_a_step_that_is_taken_two_things(
        self, history: History, redis_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(History, "now", lambda self: self._client.time() and NOON + 4.0)
        client = redis_of("signals")

        def commands(step: Callable[[], object]) -> int:
            before = client.info("stats")["total_commands_processed"]
            step()
            return int(client.info("stats")["total_commands_processed"] - before - 1)

        sampled = list[str]()
        source = replace(a_source({}), sample=lambda: sampled.append("") or {})
        Sampler([a_source({"lag": 3})], late_seconds=0.5).step(0.0)
        other = Sampler([source], late_seconds=0.5)
        asked = [commands(lambda now=now: other.step(now)) for now in (0.0, 1.0, 6.4, 6.6)]  # type: ignore[misc]
        assert sampled == []
        assert asked == [2, 0, 0, 2], "it looks once a step, as the step begins, by the server's clock"

    @pytest.mark.django_db
    def test_every_role_tells_numbers(self, redis_of: Any) -> None:
        for source in declared("samples").values():
            assert all(isinstance(value, int | float) for value in source.sample().values()), source.role

    @pytest.mark.django_db
    def test_the_command_samples_all_or_the_named(self, redis_of: Any, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("sample_history", "regime")
        call_command("sample_history")
        assert capsys.readouterr().out.split() in (["sampled=1", "sampled=3"], ["sampled=1", "sampled=4"])
        with pytest.raises(CommandError, match="unknown role: 'weather'"):
            call_command("sample_history", "weather")


class TestCharts:
    LAG = Chart("Behind", "entries", (Line("lag", "not delivered"),))
    TIERS = Chart("Refused", "a second", (Line("refused_total:*", ""),))

    @pytest.fixture
    def fixed(self, history: History, monkeypatch: pytest.MonkeyPatch) -> History:
        monkeypatch.setattr(History, "now", lambda self: NOON + 3605.0)
        return history

    def test_the_lines_stand_on_one_row_of_times(self, fixed: History) -> None:
        fixed.record({"lag": 3}, NOON + 3600)
        fixed.record({"lag": 5}, NOON + 3590) or fixed.record({"lag": 9}, NOON + 3610)
        data = chart_data(a_console(self.LAG), SPANS["1h"])
        assert len(data["times"]) == 360
        assert data["times"][-1] == NOON + 3600
        [chart] = data["charts"]
        assert chart["lines"][0]["label"] == "not delivered"
        assert chart["lines"][0]["values"][-2:] == [None, 3.0]

    def test_a_star_stands_for_every_tier_there_is(self, fixed: History) -> None:
        for n in range(2):
            totals = {"refused_total:free": 10.0 * n, "refused_total:pro": 40.0 * n}
            fixed.record(totals, NOON + 3590 + 10 * n)
        [chart] = chart_data(a_console(self.TIERS), SPANS["1h"])["charts"]
        assert {one["label"]: one["values"][-1] for one in chart["lines"]} == {"free": 1.0, "pro": 4.0}

    @pytest.mark.parametrize("span", SPANS.values())
    def test_every_span_is_drawn_with_few_points(self, fixed: History, span: Span) -> None:
        assert len(chart_data(a_console(self.LAG), span)["times"]) <= 4320

    @pytest.mark.django_db
    def test_each_page_serves_its_charts_to_who_may_view(
        self, client: Any, operator_client: Any, redis_of: Any, django_user_model: Any
    ) -> None:
        Sampler.of().step(0.0)
        for page in ("regime/regimecache", "signals_app/livestream", "outreach/outreachqueue", "throttling/ratelimits"):
            url = f"/admin/{page}/history.json"
            answer = operator_client.get(url, {"range": "24h"})
            assert answer.status_code == 200, page
            assert answer["ETag"]
            assert operator_client.get(url, {"range": "1y"}).status_code == 404
            html = operator_client.get(f"/admin/{page}/").content.decode()
            assert html.count('class="avo-chart"') == len(answer.json()["charts"]) > 0
            assert operator_client.post(url).status_code == 405
        client.force_login(django_user_model.objects.create_user("staff", is_staff=True))
        assert client.get(url).status_code == 403
