"""How many examples there are of properties that take long for each, as by the profile."""

from hypothesis import settings

_ALL = settings().max_examples

FEW = settings(max_examples=_ALL // 3)
"""For those that convert a dozen times for each example."""
