"""Whatever else fsspec opens: memory, S3, file systems whose connection breaks; and packages that are missing."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from builders import usual_elf
from conftest import Answer
from object_server import Server
from remote_vmcores import MEMORY, vmcore

import vmcoredd_lab as vl
from vmcoredd_lab.errors import OpenError
from vmcoredd_lab.source import open_source
from vmcoredd_lab.source.blocks import BLOCK
from vmcoredd_lab.source.remote import RemoteSource

if TYPE_CHECKING:
    from sftp_server import SftpServer

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed: URLs cannot be read")

pytestmark = pytest.mark.usefixtures("no_waiting")

Lab = Callable[..., Answer]

CONTENT = bytes(range(251)) * 16000  # 4 MB, no two blocks alike


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()


def test_a_file_of_a_memory_file_system(memory: Any) -> None:
    memory.pipe("/crash/vmcore", vmcore())
    core = vl.open_vmcore("memory://crash/vmcore")
    assert [dump.name for dump in core.device_dumps] == ["cxgb4_0000:02:00.4"]
    assert core.memory.read(0x1000 + 500_000, 100) == MEMORY[500_000:500_100]


def test_a_file_that_is_written_anew_is_noticed(memory: Any) -> None:
    memory.pipe("/vmcore", CONTENT)
    source = open_source("memory://vmcore")
    memory.pipe("/vmcore", CONTENT[::-1])
    with pytest.raises(OpenError, match="changed while it was read"):
        source.read(0, 10)


def test_a_file_that_is_removed_is_noticed(memory: Any) -> None:
    memory.pipe("/vmcore", CONTENT)
    source = open_source("memory://vmcore")
    memory.rm("/vmcore")
    with pytest.raises(OpenError, match="the object is gone"):
        source.read(0, 10)


def test_a_missing_file_and_a_directory_of_a_file_system(memory: Any) -> None:
    memory.pipe("/crash/vmcore", CONTENT)
    with pytest.raises(OpenError, match="no such object"):
        open_source("memory://nothing")
    with pytest.raises(OpenError, match="directory") as error:
        open_source("memory://crash")
    assert error.value.hint == "try memory://crash/vmcore"


class Flaky(fsspec.AbstractFileSystem):  # type: ignore[misc]
    """A file system whose connection breaks: after `loss` the instance that had it gives no more bytes."""

    protocol = "flaky"
    cachable = True
    losses = 0
    instances = 0
    error: Exception | None = None
    mtime = 1

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.dead = False
        type(self).instances += 1

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {"name": path, "size": len(CONTENT), "type": "file", "mtime": Flaky.mtime, "atime": Flaky.instances}

    def _open(self, path: str, *args: Any, **options: Any) -> Any:
        if Flaky.error is not None:
            raise Flaky.error
        return self._File(self)

    class _File:
        def __init__(self, owner: Flaky) -> None:
            self.owner, self.at = owner, 0

        def seek(self, at: int) -> None:
            self.at = at

        def read(self, size: int) -> bytes:
            if Flaky.losses:
                Flaky.losses -= 1
                self.owner.dead = True
            if self.owner.dead:
                raise EOFError("hunter2 closed the channel of flaky://me:hunter2@host/vmcore")
            return CONTENT[self.at : self.at + size]

        def close(self) -> None:
            return


@pytest.fixture
def flaky(monkeypatch: pytest.MonkeyPatch) -> type[Flaky]:
    fsspec.register_implementation("flaky", Flaky, clobber=True)
    for name, value in (("losses", 0), ("instances", 0), ("error", None), ("mtime", 1)):
        monkeypatch.setattr(Flaky, name, value)
    Flaky.clear_instance_cache()
    return Flaky


FLAKY = "flaky://me:hunter2@host/vmcore"


def test_after_a_loss_the_file_system_connects_anew(flaky: type[Flaky]) -> None:
    source = open_source(FLAKY)
    flaky.losses = 1
    assert source.read(1_000_000, 10) == CONTENT[1_000_000:1_000_010]
    assert flaky.instances == 2


def test_a_file_that_changed_while_the_connection_was_lost_is_noticed(flaky: type[Flaky]) -> None:
    source = open_source(FLAKY)
    flaky.losses, flaky.mtime = 1, 2
    with pytest.raises(OpenError, match="changed while it was read") as error:
        source.read(1_000_000, 10)
    assert (error.value.expected, error.value.got) == ("mtime 1", "2")


def test_a_file_that_changes_is_noticed_where_requests_do_not_tell(
    flaky: type[Flaky], monkeypatch: pytest.MonkeyPatch
) -> None:
    from vmcoredd_lab.source import remote_file

    monkeypatch.setattr(remote_file, "UNCHECKED", 0)
    source = open_source(FLAKY)
    flaky.mtime = 2
    with pytest.raises(OpenError, match="changed while it was read"):
        source.read(1_000_000, 10)


def test_a_connection_that_stays_lost_is_an_error_without_secrets(flaky: type[Flaky]) -> None:
    source = open_source(FLAKY)
    flaky.losses = 99
    with pytest.raises(OpenError, match="closed the channel of flaky://host/vmcore") as error:
        source.read(1_000_000, 10)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    ("raised", "says"),
    [
        (PermissionError("no"), "access is denied"),
        (ValueError("a bad address"), "cannot be opened: a bad address"),
        (type("NoCredentialsError", (Exception,), {})("none"), "no access: none"),
        (OSError(113, "No route to host"), r"No route to host \(2 tries\)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_file_systems_raise_becomes_an_error_of_opening(flaky: type[Flaky], raised: Exception, says: str) -> None:
    flaky.error = raised
    with pytest.raises(OpenError, match=says):
        open_source(FLAKY)


def test_a_chain_of_file_systems_is_read_through(server: Server, tmp_path: Path) -> None:
    server.put(CONTENT)
    with pytest.raises(OpenError):
        open_source(f"zip://vmcore::{server.url()}")  # it is no zip archive


def test_a_file_url_is_a_local_file(tmp_path: Path) -> None:
    path = tmp_path / "a b" / "vmcore"
    path.parent.mkdir()
    path.write_bytes(usual_elf())
    source = open_source("file://" + str(path).replace(" ", "%20"))
    assert (type(source).__name__, source.name) == ("MappedSource", str(path))


def test_a_url_that_went_through_pathlib_is_recognised() -> None:
    with pytest.raises(OpenError) as error:
        open_source(Path("https://host/vmcore"))
    assert error.value.hint == "pass a URL as text, not as a Path"


def test_a_url_of_a_kind_that_nobody_knows() -> None:
    with pytest.raises(OpenError, match="no such kind of URL: nosuch"):
        open_source("nosuch://host/vmcore")


# -- S3 ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The address of an S3 server."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto_server = pytest.importorskip("moto.server", reason="moto and flask are not installed: no S3 server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    running = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def bucket(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, bytes], str]]:
    """Return a function that puts an object into a bucket, and gives its URL."""
    for name, value in (("ACCESS_KEY_ID", "c0ffee"), ("SECRET_ACCESS_KEY", "hunter2"), ("DEFAULT_REGION", "us-east-1"),
                        ("ENDPOINT_URL", moto), ("EC2_METADATA_DISABLED", "true")):  # fmt: skip
        monkeypatch.setenv(f"AWS_{name}", value)
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    files = s3fs.S3FileSystem()
    if not files.exists("crash"):
        files.mkdir("crash")

    def put(key: str, data: bytes) -> str:
        files.pipe(f"crash/{key}", data)
        return f"s3://crash/{key}"

    yield put
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_vmcore_in_a_bucket(bucket: Callable[[str, bytes], str], lab: Lab) -> None:
    answer = lab("info", "-v", bucket("host/vmcore", vmcore()), "--format", "json")
    assert (answer.status, answer.json["file"]) == (0, "s3://crash/host/vmcore")
    assert [dump["name"] for dump in answer.json["device_dumps"]] == ["cxgb4_0000:02:00.4"]
    assert answer.err.startswith("s3://crash/host/vmcore: read ")


def test_reads_of_an_object_in_a_bucket_are_ranges(bucket: Callable[[str, bytes], str]) -> None:
    source = open_source(bucket("object", CONTENT))
    assert isinstance(source, RemoteSource)
    assert source.read(2_000_000, 100) == CONTENT[2_000_000:2_000_100]
    assert (source.traffic.requests, source.traffic.bytes) == (2, 2 * BLOCK)


def test_an_object_in_a_bucket_that_is_replaced_is_noticed(bucket: Callable[[str, bytes], str]) -> None:
    source = open_source(bucket("replaced", CONTENT))
    bucket("replaced", CONTENT[::-1])
    with pytest.raises(OpenError, match="changed while it was read") as error:
        source.read(2_000_000, 10)
    assert "ETag" in (error.value.expected or "")


@pytest.mark.parametrize("url", ["s3://crash/nothing", "s3://no-such-bucket/vmcore"])
def test_a_missing_object_in_a_bucket(bucket: Callable[[str, bytes], str], url: str) -> None:
    with pytest.raises(OpenError, match="no such object"):
        open_source(url)


def test_a_prefix_of_a_bucket_is_a_directory(bucket: Callable[[str, bytes], str]) -> None:
    bucket("dir/vmcore", CONTENT)
    with pytest.raises(OpenError, match="directory") as error:
        open_source("s3://crash/dir")
    assert error.value.hint == "try s3://crash/dir/vmcore"


# -- SFTP -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def sftp(tmp_path: Path) -> Iterator[SftpServer]:
    """An SFTP server over a directory; it lets me in with hunter2."""
    pytest.importorskip("paramiko", reason="paramiko is not installed: no SFTP")
    from sftp_server import sftp_server

    with sftp_server(tmp_path) as running:
        yield running
    fsspec.get_filesystem_class("sftp").clear_instance_cache()


def test_a_file_over_sftp(sftp: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "vmcore").write_bytes(vmcore())
    core = vl.open_vmcore(sftp.url("/vmcore"))
    assert [dump.name for dump in core.device_dumps] == ["cxgb4_0000:02:00.4"]
    assert core.memory.read(0x1000, len(MEMORY)) == MEMORY
    assert core.path == f"sftp://127.0.0.1:{sftp.port}/vmcore"


def test_sftp_connects_anew_after_a_loss_and_says_nothing(
    sftp: SftpServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "vmcore").write_bytes(CONTENT)
    source = open_source(sftp.url("/vmcore"))
    assert source.read(0, 10) == CONTENT[:10]
    sftp.disconnect()
    assert source.read(1_000_000, 2_000_000) == CONTENT[1_000_000:3_000_000]
    assert capfd.readouterr().err == ""


def test_sftp_notices_a_file_that_changed(sftp: SftpServer, tmp_path: Path) -> None:
    (tmp_path / "vmcore").write_bytes(CONTENT)
    source = open_source(sftp.url("/vmcore"))
    os.utime(tmp_path / "vmcore", (1, 1))
    with pytest.raises(OpenError, match="changed while it was read"):
        source.read(1_000_000, 10)


def test_a_wrong_password_is_not_shown(sftp: SftpServer) -> None:
    with pytest.raises(OpenError, match="no access: Authentication failed") as error:
        open_source(sftp.url("/vmcore", password="wrong-hunter3"))
    assert "hunter3" not in str(error.value)


# -- packages that are not installed ----------------------------------------------------------------------------------

HIDDEN = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == sys.argv[1]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from vmcoredd_lab.cli import main
main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("package", "url", "command"),
    [
        ("fsspec", "https://me:hunter2@host/vmcore", "pip install 'vmcoredd-lab[remote]'"),
        ("aiohttp", "https://me:hunter2@host/vmcore", "pip install aiohttp"),
        ("s3fs", "s3://bucket/vmcore", "pip install s3fs"),
        ("gcsfs", "gs://bucket/vmcore", "pip install gcsfs"),
        ("paramiko", "sftp://me:hunter2@host/vmcore", "pip install paramiko"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_command_that_brings_it(
    package: str, url: str, command: str
) -> None:
    run = subprocess.run(
        [sys.executable, "-c", HIDDEN, package, "info", url], capture_output=True, text=True, check=False
    )
    assert (run.returncode, "Traceback" in run.stderr, "hunter2" in run.stderr) == (3, False, False)
    assert command in run.stderr


def test_a_local_file_needs_nothing_of_all_this(file: Callable[..., Path]) -> None:
    code = (
        "import sys; from vmcoredd_lab.cli import main\n"
        "try: main(['info', '-v', sys.argv[1]])\n"
        "finally: print(*sys.modules, sep='\\n')"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(file(usual_elf()))], capture_output=True, text=True, check=False
    )
    assert not {"fsspec", "aiohttp", "asyncio", "vmcoredd_lab.source.remote"} & set(run.stdout.split("\n"))
