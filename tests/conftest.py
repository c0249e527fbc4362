"""Hypothesis profiles: ``dev`` is quick; ``ci`` looks harder and finds the same every time."""

import os

from hypothesis import HealthCheck, settings

_BUSY = [HealthCheck.too_slow]  # a busy machine is no defect

settings.register_profile("dev", max_examples=40, deadline=None, suppress_health_check=_BUSY)
settings.register_profile(
    "ci", max_examples=300, deadline=None, derandomize=True, suppress_health_check=_BUSY
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")
