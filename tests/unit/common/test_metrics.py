"""What is counted, and what that costs."""

import sys
from collections import Counter
from types import FrameType
from typing import get_args

import pytest
from prometheus_client import CollectorRegistry

from tocsin_api import metrics as api
from tocsin_common.metrics import LATENCIES_S, Histogram
from tocsin_dispatcher import metrics as dispatcher
from tocsin_dispatcher.sender.outcome import Outcome

MOST_CALLS = 60  # 46 in Python 3.11
"""For the metrics of a POST: steps of Python and of C, as many on a slow machine as on a fast one."""


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.mark.parametrize(
    ("seconds", "bound"),
    [(-0.5, "0.001"), (0.0, "0.001"), (0.001, "0.001"), (0.0011, "0.0025"), (300.0, "300.0"), (300.1, "+Inf")],
)
def test_a_duration_counts_in_the_first_bucket_that_holds_it(registry, seconds: float, bound: str):
    histogram = Histogram("waits_seconds", "Waits", registry=registry)

    histogram.observe(seconds)

    bounds = [*map(str, LATENCIES_S), "+Inf"]
    counts = [registry.get_sample_value("waits_seconds_bucket", {"le": each}) for each in bounds]
    assert counts == [float(n >= bounds.index(bound)) for n in range(len(bounds))]


def test_a_histogram_adds_up(registry):
    histogram = Histogram("waits_seconds", "Waits", ["of"], registry=registry)

    histogram.observe(0.5, "a", times=3)
    histogram.observe(20.0, "a")
    histogram.observe(1.0, "b")

    assert registry.get_sample_value("waits_seconds_sum", {"of": "a"}) == 21.5
    assert registry.get_sample_value("waits_seconds_count", {"of": "a"}) == 4.0
    assert registry.get_sample_value("waits_seconds_count", {"of": "b"}) == 1.0


def test_a_histogram_without_labels_is_shown_before_it_has_counted_anything(registry):
    Histogram("waits_seconds", "Waits", registry=registry)

    assert registry.get_sample_value("waits_seconds_count") == 0.0


def test_two_metrics_cannot_have_one_name(registry):
    Histogram("waits_seconds", "Waits", registry=registry)

    with pytest.raises(ValueError, match="waits_seconds"):
        Histogram("waits_seconds", "Waits", registry=registry)


def test_every_outcome_is_counted_from_the_start():
    assert get_args(Outcome) == dispatcher.OUTCOMES
    shown = [
        dispatcher.SENDER.get_sample_value("tocsin_attempts_total", {"outcome": outcome})
        for outcome in dispatcher.OUTCOMES
    ]
    assert None not in shown


@pytest.mark.parametrize(("method", "shown"), [("GET", "GET"), ("BREW", "other"), ("x" * 99, "other")])
def test_what_a_client_sends_makes_no_new_method(method: str, shown: str):
    api.count_request(method, "unknown", 405, 0.001)

    assert api.REQUEST_DURATION in _histograms_with(method=shown, route="unknown", status="4xx")


def _histograms_with(**labels: str) -> list[Histogram]:
    [family] = api.REQUEST_DURATION.collect()
    is_there = any(labels.items() <= sample.labels.items() for sample in family.samples)
    return [api.REQUEST_DURATION] if is_there else []


def test_the_metrics_of_a_post_take_few_steps():
    def post() -> None:
        dispatcher.POST_LATENESS.observe(0.02, "first")
        with dispatcher.POSTS_IN_FLIGHT.track_inprogress():
            pass
        dispatcher.POST_DURATION.observe(0.1)
        dispatcher.ATTEMPTS.labels("succeeded").inc()
        dispatcher.EXECUTIONS_ENDED.labels("succeeded").inc()

    steps: Counter[str] = Counter()

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        steps[event] += 1

    post()  # what is made once
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        post()
    finally:
        sys.setprofile(before)

    assert 0 < steps["call"] + steps["c_call"] <= MOST_CALLS
