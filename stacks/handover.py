"""A folder that another team can plan and apply, with nothing but Terraform."""

from pathlib import Path

from stacks.environment import Environment
from stacks.synthesis import Synthesised


def hand_over(made: Synthesised, environment: Environment, out: Path) -> Path:
    """Write the Terraform, the package and a README."""
    raise NotImplementedError
