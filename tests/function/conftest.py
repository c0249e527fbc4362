"""Deployments in moto, one for a test or for all tests of a module."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from mypy_boto3_s3 import S3Client

from tests.function.deployment import Deployment
from tests.s3.conftest import aws, moto, proxy, s3

__all__ = ["aws", "moto", "proxy", "s3"]

Deploy = Callable[[], Deployment]

logging.getLogger("werkzeug").setLevel(logging.WARNING)  # a line a request


@pytest.fixture(scope="module")
def deploy(moto: str, s3: S3Client, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deploy]:
    if sys.platform != "linux":
        pytest.skip("the Lambda runtime's client is for Linux")
    with ExitStack() as running:
        yield lambda: running.enter_context(Deployment(moto, s3, tmp_path_factory.mktemp("tmp")))


@pytest.fixture
def deployed(deploy: Deploy) -> Deployment:
    return deploy()
