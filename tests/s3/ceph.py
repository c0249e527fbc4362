"""Ceph's S3 gateway, with one monitor and one storage daemon that keeps objects in memory.

From packages of Debian that are unpacked, not installed; nothing of it outlives the context.
"""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.debian import libraries, native, program, unpacked

RELEASE = "trixie"
_PACKAGES = ("radosgw", "ceph-mon", "ceph-osd")
_START_S = 120
_CONFIGURATION = """
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{monitor}/0
public_addr = 127.0.0.1
mon_data = {folder}/mon
osd_data = {folder}/osd
rgw_data = {folder}
keyring = {folder}/keyring
log_file = {folder}/$name.log
mon_cluster_log_file = {folder}/cluster.log
run_dir = {folder}
admin_socket =
# Programs look for plugins where Debian has them installed.
plugin_dir = {libraries}/ceph
erasure_code_dir = {libraries}/ceph/erasure-code
osd_class_dir = {libraries}/rados-classes
# Nobody else is there, and the gateway asks for encryption of its own accord.
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
# One daemon, in memory.
osd_objectstore = memstore
memstore_device_bytes = {size}
osd_pool_default_size = 1
osd_pool_default_pg_num = 8
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_data_avail_crit = 1
rgw_frontends = beast endpoint=127.0.0.1:{gateway}
"""


@contextmanager
def ceph_server(access_key: str, secret_key: str) -> Iterator[str]:
    """The address of a gateway that knows one user."""
    root = unpacked(RELEASE, native(), *_PACKAGES)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="ceph-")))
        cluster = _Cluster(root, folder)
        stack.callback(cluster.stop)
        cluster.start_monitor()
        cluster.start_storage()
        url = cluster.start_gateway()
        names = ("--uid=test", "--display-name=test")
        keys = (f"--access-key={access_key}", f"--secret-key={secret_key}")
        cluster.run("radosgw-admin", "--name=client.admin", "user", "create", *names, *keys)
        yield url


class _Cluster:
    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder
        self._fsid, self._monitor, self._gateway = uuid.uuid4(), _free_port(), _free_port()
        self._started: list[subprocess.Popen[bytes]] = []
        (folder / "mon").mkdir()
        (folder / "osd").mkdir()
        (folder / "keyring").touch()
        (folder / "ceph.conf").write_text(
            _CONFIGURATION.format(
                fsid=self._fsid,
                monitor=self._monitor,
                gateway=self._gateway,
                folder=folder,
                libraries=libraries(root),
                size=4 << 30,
            )
        )

    def start_monitor(self) -> None:
        table, fsid = self._folder / "monitors", str(self._fsid)
        address = f"[v2:127.0.0.1:{self._monitor}]"
        self.run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, str(table))
        self.run("ceph-mon", "--id=a", "--mkfs", f"--monmap={table}")
        self._start("ceph-mon", "--id=a", "--foreground")

    def start_storage(self) -> None:
        daemon = str(uuid.uuid4())
        self._ceph("osd", "new", daemon)
        self.run("ceph-osd", "--id=0", "--mkfs", f"--osd-uuid={daemon}")
        self._start("ceph-osd", "--id=0", "--foreground")
        self._wait(lambda: " 1 up" in self._ceph("osd", "stat"))

    def start_gateway(self) -> str:
        url = f"http://127.0.0.1:{self._gateway}"
        self._start("radosgw", "--name=client.gateway", "--foreground")
        self._wait(partial(_answers, url))
        return url

    def stop(self) -> None:
        for process in reversed(self._started):
            process.kill()
            process.wait()

    def run(self, name: str, *arguments: str) -> str:
        done = subprocess.run(
            self._command(name, *arguments),
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=_START_S,
        )
        if done.returncode:
            pytest.fail(f"{name} {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return done.stdout

    def _ceph(self, *arguments: str) -> str:
        """Run Ceph's own command, which is written in Python."""
        return self.run("python3", f"{self._root}/usr/bin/ceph", *arguments)

    def _start(self, name: str, *arguments: str) -> None:
        with (self._folder / f"{name}.out").open("wb") as out:
            command = self._command(name, *arguments)
            started = subprocess.Popen(command, env=self._environment(), stdout=out, stderr=out)
        self._started.append(started)

    def _command(self, name: str, *arguments: str) -> list[str]:
        return program(self._root, name, *arguments, below="ceph")

    def _environment(self) -> dict[str, str]:
        packages = self._root / "usr/lib/python3/dist-packages"
        python = {"PYTHONHOME": f"{self._root}/usr", "PYTHONPATH": str(packages)}
        return {**python, "CEPH_CONF": f"{self._folder}/ceph.conf", "PATH": os.defpath}

    def _wait(self, is_there: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _START_S
        while not is_there():
            ended = any(process.poll() is not None for process in self._started)
            if ended or time.monotonic() > deadline:
                said = [path.read_text()[-2000:] for path in self._folder.glob("*.out")]
                pytest.fail("Ceph does not start\n" + "\n".join(said))
            time.sleep(0.2)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):  # noqa: S310 - of this machine
            return True
    except (OSError, urllib.error.URLError):
        return False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
