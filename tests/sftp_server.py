"""An SFTP server over a directory, with paramiko, whose connections can be cut."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko

PASSWORD = "hunter2"


class SftpServer:
    """Where it listens, and what is connected."""

    def __init__(self, directory: Path) -> None:
        self._directory = str(directory)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._key = paramiko.ECDSAKey.generate()
        self._connected: list[paramiko.Transport] = []
        self.port: int = self._listening.getsockname()[1]

    def url(self, path: str, password: str = PASSWORD) -> str:
        return f"sftp://me:{password}@127.0.0.1:{self.port}{path}"

    def disconnect(self) -> None:
        for transport in self._connected:
            transport.close()

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:  # the server ends
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self._key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Files, self._directory)
            self._connected.append(transport)
            transport.start_server(event=threading.Event(), server=_Access())

    def end(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.disconnect()


class _Access(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        return paramiko.AUTH_SUCCESSFUL if password == PASSWORD else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED


class _Handle(paramiko.SFTPHandle):
    def stat(self) -> Any:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Files(paramiko.SFTPServerInterface):
    def __init__(self, server: Any, directory: str) -> None:
        super().__init__(server)
        self._directory = directory

    def stat(self, path: str) -> Any:
        try:
            return paramiko.SFTPAttributes.from_stat(os.stat(self._directory + path))
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)

    lstat = stat

    def open(self, path: str, flags: int, attr: Any) -> Any:
        handle = _Handle(flags)
        try:
            handle.readfile = open(self._directory + path, "rb")  # noqa: SIM115  paramiko closes it
        except OSError as error:
            return paramiko.SFTPServer.convert_errno(error.errno)
        return handle


@contextmanager
def sftp_server(directory: Path) -> Iterator[SftpServer]:
    """Run a server on a free port of this machine."""
    server = SftpServer(directory)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.end()
        thread.join()
