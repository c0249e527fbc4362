"""Behind a proxy the tests run as they do elsewhere."""

from urllib.request import proxy_bypass

import pytest


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_is_asked_for_the_servers_of_the_tests(host: str) -> None:
    assert proxy_bypass(host)
