"""An S3 server over HTTP, a proxy in front of it, and buckets for one test each.

The server is moto's or, for ``make test-ceph`` (``S3_SERVER=ceph``), Ceph's.
"""

import os
import uuid
from collections.abc import Callable, Iterator

import boto3
import pytest
from mypy_boto3_s3 import S3Client

from tests.moto_server import moto_server
from tests.s3.ceph import ceph_server
from tests.s3.faults import FaultProxy

S3_SERVER = os.environ.get("S3_SERVER", "moto")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKIATEST", "AWS_SECRET_ACCESS_KEY": "secret"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With another server, leave out what only Amazon S3 and its imitation have."""
    if S3_SERVER != "moto":
        for item in items:
            if marker := item.get_closest_marker("amazon"):
                item.add_marker(pytest.mark.skip(f"NOT WITH {S3_SERVER}: needs {marker.args[0]}"))


@pytest.fixture(scope="session")
def moto() -> Iterator[str]:
    """The address of the server, which need not be moto's."""
    if S3_SERVER == "ceph":
        with ceph_server(*CREDENTIALS.values()) as url:
            yield url
        return
    server = moto_server()
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def proxy(moto: str) -> Iterator[FaultProxy]:
    with FaultProxy(moto) as proxy:
        yield proxy


def _is_proxy(name: str) -> bool:
    return name.lower() in {"all_proxy", "http_proxy", "https_proxy", "no_proxy"}


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, proxy: FaultProxy) -> None:
    """An environment as a user's, with the proxy for AWS and nothing of this machine's."""
    for name in [name for name in os.environ if name.startswith("AWS_") or _is_proxy(name)]:
        monkeypatch.delenv(name)
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture(scope="session")
def s3(moto: str) -> Iterator[S3Client]:
    """Another client, past the proxy, to arrange and to look."""
    client = boto3.client(
        "s3",
        endpoint_url=moto,
        region_name="us-east-1",
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
    )
    yield client
    client.close()


@pytest.fixture
def new_bucket(s3: S3Client) -> Callable[[], str]:
    def make() -> str:
        name = f"test-{uuid.uuid4().hex}"
        s3.create_bucket(Bucket=name)
        return name

    return make


@pytest.fixture
def bucket(new_bucket: Callable[[], str]) -> str:
    return new_bucket()
