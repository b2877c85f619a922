"""A download goes on where it was, keeps nothing that is wrong, and says what to do without a network."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from spotlight_asars.datasets import SOURCES, download, fetch
from spotlight_asars.datasets.download import Source, cache_folder, fetch_file

CONTENT = np.random.RandomState(0).bytes(300_000)


class Provider(BaseHTTPRequestHandler):
    """Serves CONTENT, as a server does that its test has set up."""

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        start = int(asked[6:-1]) if asked and server.resumes else 0
        if server.status or start >= len(CONTENT):
            self.send_error(server.status or 416)
            return
        self.send_response(206 if asked and server.says_partial else 200)
        if server.tells_length:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        if asked and server.says_partial:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.end_headers()
        self.wfile.write(CONTENT[start : start + server.breaks_after])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def provider():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.asked, server.resumes, server.tells_length, server.status = [], True, True, None
    server.breaks_after, server.says_partial = len(CONTENT), True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def source(provider):
    port = provider.server_address[1]
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    return Source("https://example.org/data", "data.zip", f"http://127.0.0.1:{port}/data.zip", checksum)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_once(source, provider, tmp_path):
    folder = tmp_path / "not" / "there"
    path = fetch_file(source, folder, progress=False)
    assert path == folder / "data.zip"
    assert path.read_bytes() == CONTENT
    assert names(folder) == ["data.zip"]
    assert fetch_file(source, folder, progress=False) == path
    assert provider.asked == [None]


def test_an_interrupted_download_goes_on_where_it_was(source, provider, tmp_path):
    provider.breaks_after = 100_000
    message = f"{source.url} must be reachable; got a connection that broke after 100000 of 300000 bytes. Download "
    with pytest.raises(ConnectionError, match=f"^{re.escape(message)}"):
        fetch_file(source, tmp_path, progress=False)
    assert names(tmp_path) == ["data.zip.part"]
    with pytest.raises(ConnectionError, match="broke after 200000 of 300000 bytes"):
        fetch_file(source, tmp_path, progress=False)
    assert fetch_file(source, tmp_path, progress=False).read_bytes() == CONTENT
    assert provider.asked == [None, "bytes=100000-", "bytes=200000-"]
    assert names(tmp_path) == ["data.zip"]


@pytest.mark.parametrize("says_partial", [False, True])
def test_a_server_that_cannot_go_on_starts_again(source, provider, tmp_path, says_partial):
    (tmp_path / "data.zip.part").write_bytes(CONTENT[:1000])
    provider.resumes, provider.says_partial = False, says_partial
    assert fetch_file(source, tmp_path, progress=False).read_bytes() == CONTENT
    assert provider.asked == ["bytes=1000-"]


def test_what_had_arrived_whole_is_checked_and_named(source, provider, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    assert fetch_file(source, tmp_path, progress=False).read_bytes() == CONTENT


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_wrong_checksum_is_refused_and_the_file_removed(source, tmp_path, algorithm):
    wrong = replace(source, checksum=f"{algorithm}:0123")
    found = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    message = (
        f"data.zip must have the published checksum {algorithm}:0123; got {found!r}. "
        "The file was removed; call again, or see https://example.org/data"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        fetch_file(wrong, tmp_path, progress=False)
    assert names(tmp_path) == []


def test_a_beginning_of_another_file_is_found_out_and_removed(source, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(b"x" * 1000)
    with pytest.raises(ValueError, match=r"^data\.zip must have the published checksum"):
        fetch_file(source, tmp_path, progress=False)
    assert fetch_file(source, tmp_path, progress=False).read_bytes() == CONTENT


def test_a_length_that_is_not_told_is_left_to_the_checksum(source, provider, tmp_path):
    provider.tells_length = False
    assert fetch_file(source, tmp_path, progress=False).read_bytes() == CONTENT


def test_without_a_network_it_says_what_to_put_where(tmp_path):
    source = Source("https://example.org/data", "data.zip", "http://127.0.0.1:9/data.zip", "md5:0")
    message = (
        rf"^http://127\.0\.0\.1:9/data\.zip must be reachable; got .*refused.*\. Download data\.zip by hand from "
        rf"https://example\.org/data and put it at {re.escape(str(tmp_path / 'data.zip'))}, or call again$"
    )
    with pytest.raises(ConnectionError, match=message):
        fetch_file(source, tmp_path, progress=False)
    (tmp_path / "data.zip").write_bytes(b"by hand")
    assert fetch_file(source, tmp_path).read_bytes() == b"by hand"


@pytest.mark.parametrize(("status", "reason"), [(404, "Not Found"), (503, "Service Unavailable")])
def test_a_server_that_refuses_is_quoted(source, provider, tmp_path, status, reason):
    provider.status = status
    with pytest.raises(ConnectionError, match=rf"/data\.zip must be reachable; got {reason}\. Download "):
        fetch_file(source, tmp_path, progress=False)
    assert names(tmp_path) == []


def test_a_progress_bar_is_shown_if_asked_for(source, tmp_path, capsys):
    fetch_file(source, tmp_path / "a", progress=False)
    assert capsys.readouterr().err == ""
    fetch_file(source, tmp_path / "b")
    assert "data.zip" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.url is None])
def test_what_has_no_direct_download_says_what_to_put_where(name, tmp_path):
    source = SOURCES[name]
    path = tmp_path / source.file
    message = (
        f"{source.file} has no direct download; got no file at {str(path)!r}. "
        f"Download {source.file} by hand from {source.page} and put it at {path}"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        fetch(name, tmp_path)


def test_direct_downloads_come_from_the_provider_alone():
    hosts = {source.url.split("/")[2] for source in SOURCES.values() if source.url}
    assert hosts == {"files.grouplens.org", "zenodo.org"}


def test_another_name_is_refused():
    with pytest.raises(ValueError, match=r"^name must be one of \['movielens-100k', .*\]; got 'netflix'$"):
        fetch("netflix")


def test_the_cache_is_the_argument_the_variable_or_the_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(download.CACHE_VARIABLE, raising=False)
    assert cache_folder() == tmp_path / ".cache" / "spotlight_asars"
    monkeypatch.setenv(download.CACHE_VARIABLE, "~/logs")
    assert cache_folder() == tmp_path / "logs"
    assert cache_folder("here") == Path("here")


def test_a_disk_that_cannot_be_written_to_is_not_a_network_that_cannot_be_reached(source, tmp_path):
    (tmp_path / "data.zip.part").mkdir()
    with pytest.raises(IsADirectoryError):
        fetch_file(source, tmp_path, progress=False)


def test_silence_ends_a_download(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        source = Source("https://example.org/data", "data.zip", f"http://127.0.0.1:{deaf.getsockname()[1]}/", "md5:0")
        with pytest.raises(
            ConnectionError, match=r"must be reachable; got (the read operation )?timed out\. Download "
        ):
            fetch_file(source, tmp_path, progress=False, timeout=0.1)
