"""A download is checked, leaves nothing wrong behind, and says what to do by hand where it fails."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from spotlight_asars.datasets import DATASETS, download, fetch
from spotlight_asars.datasets.download import cache_folder

CONTENT = bytes(range(256)) * 1000
NAME = "movielens-1m"


class Provider(BaseHTTPRequestHandler):
    """Serves CONTENT, or as much of it as the server's ``breaks_after`` says, or an error ``status``."""

    def do_GET(self):
        self.server.requests += 1
        if self.server.pause:
            time.sleep(self.server.pause)
            return
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: self.server.breaks_after])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def provider(monkeypatch):
    pytest.importorskip("pooch")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.requests, server.status, server.breaks_after, server.pause = 0, 200, None, 0.0
    url = f"http://127.0.0.1:{server.server_address[1]}/ml-1m.zip"
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    monkeypatch.setitem(DATASETS, NAME, replace(DATASETS[NAME], url=url, checksum=checksum))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_file_arrives_once_and_quietly(provider, tmp_path, capfd):
    folder = tmp_path / "not" / "there"
    path = fetch(NAME, folder, progress=False)
    assert path == folder / "ml-1m.zip"
    assert path.read_bytes() == CONTENT
    assert [file.name for file in folder.iterdir()] == ["ml-1m.zip"]
    assert fetch(NAME, folder, progress=False) == path
    assert provider.requests == 1
    assert capfd.readouterr() == ("", "")


def test_a_progress_bar_is_shown_if_asked_for(provider, tmp_path, capfd):
    fetch(NAME, tmp_path)
    assert "100%" in capfd.readouterr().err


def test_another_checksum_is_refused_and_the_file_deleted(provider, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, NAME, replace(DATASETS[NAME], checksum="md5:0123"))
    with pytest.raises(ValueError, match=rf"ml-1m\.zip.* md5:0123 but got .*{hashlib.md5(CONTENT).hexdigest()}"):
        fetch(NAME, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"status": 503}, "503 Server Error"), ({"breaks_after": 100}, r".*100 bytes read"), ({"port": 9}, ".*refused")],
)
def test_a_failed_download_says_what_to_put_where(provider, tmp_path, monkeypatch, change, reason):
    if "port" in change:
        monkeypatch.setitem(DATASETS, NAME, replace(DATASETS[NAME], url="http://127.0.0.1:9/ml-1m.zip"))
    vars(provider).update(change)
    place = re.escape(str(tmp_path / "ml-1m.zip"))
    by_hand = rf"Download ml-1m\.zip by hand from {DATASETS[NAME].page} and put it at {place}, or call again$"
    url = re.escape(DATASETS[NAME].url)
    with pytest.raises(ConnectionError, match=rf"^{url} must be reachable; got {reason}.*\. {by_hand}"):
        fetch(NAME, tmp_path, progress=False)
    assert not list(tmp_path.iterdir())


def test_silence_ends_a_download(provider, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", 0.05)
    provider.pause = 0.3
    with pytest.raises(ConnectionError, match=r"must be reachable; got .*timed? ?out"):
        fetch(NAME, tmp_path, progress=False)


@pytest.mark.parametrize("name", [name for name, dataset in DATASETS.items() if dataset.url is None])
def test_what_has_no_direct_download_says_what_to_put_where(name, tmp_path):
    dataset = DATASETS[name]
    path = tmp_path / dataset.file
    message = (
        f"{dataset.file} has no direct download ({dataset.by_hand}); got no file at {str(path)!r}. "
        f"Download {dataset.file} by hand from {dataset.page} and put it at {path}"
    )
    with pytest.raises(FileNotFoundError, match=f"^{re.escape(message)}$"):
        fetch(name, tmp_path)


def test_without_pooch_the_message_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"^fetch needs pooch; pip install 'spotlight-asars\[download\]' brings it\."):
        fetch(NAME, tmp_path)
    (tmp_path / "ml-1m.zip").write_bytes(b"by hand")
    assert fetch(NAME, tmp_path) == tmp_path / "ml-1m.zip"


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
