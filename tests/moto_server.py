"""A server of moto's, without what costs it half of its time."""

from functools import lru_cache

from botocore.utils import parse_to_aware_datetime
from moto import backends
from moto.core import serialize
from moto.server import ThreadedMotoServer

_SERVICES = tuple(backends.list_of_moto_modules())
_parsed = lru_cache(10_000)(parse_to_aware_datetime)


def moto_server() -> ThreadedMotoServer:
    """A server at a free port of this machine, yet to be started."""
    # moto reads its own folder twice a request, and times of a listing that it has just written.
    backends.list_of_moto_modules = lambda: _SERVICES
    vars(serialize)["parse_to_aware_datetime"] = _parsed
    return ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
