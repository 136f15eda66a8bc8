"""What /health says of what endangers the completeness of an exchange's data."""

from __future__ import annotations

import pytest
from health_samples import SECOND, START, make_config, make_stats, make_whole

from multilogger.health.judgement import Status
from multilogger.health.status import HealthReport, build_status
from multilogger.stats import BreakerStats, BudgetStats, ExchangeState, ExchangeStats, Stats

NOW = START + 3600 * SECOND


def judge(stats: Stats) -> HealthReport:
    """Judge an exchange whose connections are well."""
    return build_status(stats, make_config("alpha"), NOW, {})


def well() -> tuple[Stats, ExchangeStats]:
    """Return counters of a logger that runs well, and those of its exchange."""
    stats = make_stats(NOW, alpha=2)
    return stats, stats.exchanges["alpha"]


def test_everything_is_shown() -> None:
    """Each fact has its place, and times are times."""
    stats, alpha = well()
    make_whole(alpha)
    shown = judge(stats).to_json()["exchanges"]["alpha"]
    names = ("reconnects", "renewals", "resubscribes", "looks", "moves", "broken_rows")
    assert [shown[name] for name in names] == [0, 20, 21, 22, 23, 25]
    assert shown["deaf"] == {"AAA/MD": "since 2025-01-25 10:29:00 UTC"}
    assert shown["suspect"] == {"price jump": 24}
    assert shown["breakers"] == {
        "BBB/TRADES": {
            "state": "open",
            "reason": "half of them",
            "opened": 3,
            "changed": "2025-01-25T10:30:00Z",
            "retry": "2025-01-25T10:31:00Z",
        },
        "CCC/TRADES": {
            "state": "closed",
            "reason": "most of them",
            "opened": 2,
            "changed": "2025-01-25T10:30:00Z",
            "retry": None,
        },
    }
    assert shown["backfill"] == {
        "missing": 26,
        "backfilled": 27,
        "given_up": 28,
        "problem": "HTTP status 503",
    }
    assert shown["budgets"] == {
        "rest/60s": {"used": 29, "amount": 4800, "secs": 60.0, "waiting": 30, "held_back_secs": 32.5}
    }


def test_what_is_missing_degrades_and_is_named() -> None:
    """A silent symbol, rows set aside and a history that can't be asked are told together."""
    stats, alpha = well()
    make_whole(alpha)
    report = judge(stats)
    assert report.status is report.exchanges["alpha"].status is Status.DEGRADED
    (reason,) = report.reasons
    assert reason.split("; ") == [
        "alpha: AAA/MD brings nothing (since 2025-01-25 10:29:00 UTC)",
        "BBB/TRADES is set aside (half of them)",
        "missed trades can't be asked for (HTTP status 503)",
    ]


def test_what_is_over_or_on_its_way_does_not_degrade() -> None:
    """Closed breakers, suspect rows, trades being backfilled or given up are facts, and no alarm."""
    stats, alpha = well()
    make_whole(alpha)
    alpha.deaf.clear()
    del alpha.breakers["BBB/TRADES"]
    alpha.backfill_problem = ""
    assert judge(stats).status is Status.HEALTHY


def test_a_breaker_on_trial_still_degrades() -> None:
    """Half-open is not well yet."""
    stats, alpha = well()
    alpha.breakers["AAA/MD"] = BreakerStats("half-open", "most of them", 1, START, 0)
    report = judge(stats)
    assert report.reasons == ("alpha: AAA/MD is tried again (most of them)",)
    assert report.exchanges["alpha"].breakers["AAA/MD"]["retry"] is None


def test_many_silent_symbols_are_told_in_short() -> None:
    """Of many the first ones are named; all of them stand in the field."""
    stats, alpha = well()
    alpha.deaf.update({f"S{number}/MD": "since then" for number in range(9)})
    exchange = judge(stats).exchanges["alpha"]
    assert exchange.detail.count("brings nothing") == 3
    assert exchange.detail.endswith("; and 6 more")
    assert len(exchange.deaf) == 9


@pytest.mark.parametrize(("secs", "status"), [(60, Status.HEALTHY), (110.4, Status.DEGRADED)])
def test_a_long_pause_that_the_exchange_wants_is_told(secs: float, status: Status) -> None:
    """A ban holds requests back without any error: it must not pass unnoticed."""
    stats, alpha = well()
    alpha.budgets["rest/60s"] = BudgetStats(4800, 60.0, held_back_secs=secs)
    report = judge(stats)
    assert report.status is status
    if status is Status.DEGRADED:
        assert report.reasons == ("alpha: rest/60s: to be left alone for 110 s, the exchange says",)


@pytest.mark.parametrize("state", [ExchangeState.DOWN, ExchangeState.PAUSED])
def test_an_exchange_that_does_not_run_has_one_problem(state: ExchangeState) -> None:
    """What was wrong before it stopped is no news."""
    stats, alpha = well()
    make_whole(alpha)
    alpha.state, alpha.detail = state, "why"
    assert judge(stats).reasons == ("alpha: why",)
    alpha.detail = ""
    assert judge(stats).reasons == (f"alpha: {state.value}",)


def test_a_reload_that_failed_degrades() -> None:
    """A configuration that is not what the file says is told, in the reasons and in a field."""
    stats, _ = well()
    stats.reloads, stats.reload_problem = 3, "health.port: 70000 is not a port"
    report = judge(stats)
    assert report.status is Status.DEGRADED
    assert report.reasons == ("configuration not reloaded: health.port: 70000 is not a port",)
    assert report.to_json()["reload"] == {"count": 3, "problem": "health.port: 70000 is not a port"}
