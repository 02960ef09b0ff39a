"""Prompts as text files. `load` fills one in; ``$name`` marks a gap."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from pathlib import Path
from string import Template

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError
from dataenv.hashing import digest


@cache
def _template(name: str) -> Template:
    return Template(files(__package__).joinpath(f"{name}.txt").read_text("utf-8"))


def load(name: str, **gaps: str) -> str:
    """The prompt of a name with its gaps filled.

    Raises:
        KeyError: A gap was left open.
    """
    return _template(name).substitute(gaps).strip()


class Prompts:
    """The prompts of a package, in its folder ``prompts``; some may be replaced.

    Args:
        package: Its name.
        folder: Text files that take the place of those of the same name; empty: none.

    Raises:
        ConfigError: There is no such folder, or a file in it has another name or other gaps than
            those of the package.
    """

    def __init__(self, package: str, folder: str = "") -> None:
        own = files(package).joinpath("prompts").iterdir()
        texts = {each.name: each.read_text("utf-8") for each in own if each.name.endswith(".txt")}
        if folder:
            texts |= _replacements(Path(folder), texts)
        self._texts = {name.removesuffix(".txt"): text.strip() for name, text in texts.items()}

    @property
    def digest(self) -> str:
        """A hash of all of them."""
        return digest(self._texts)

    def fill(self, name: str, **gaps: str) -> str:
        """The prompt of a name with its gaps filled.

        Raises:
            KeyError: A gap was left open.
        """
        return Template(self._texts[name]).substitute(gaps)


def _replacements(folder: Path, own: dict[str, str]) -> dict[str, str]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder of prompts {str(folder)!r}")
    found = {}
    for path in sorted(folder.glob("*.txt")):
        if path.name not in own:
            raise ConfigError(f"{path} replaces no prompt{did_you_mean(path.name, list(own))}")
        text = path.read_text("utf-8")
        template = Template(text)
        if not template.is_valid():
            raise ConfigError(f"{path}: a $ stands alone; write $$ for the character")
        known = Template(own[path.name]).get_identifiers()
        for gap in template.get_identifiers():
            if gap not in known:
                raise ConfigError(f"{path}: there is no gap ${gap}{did_you_mean(gap, known)}")
        found[path.name] = text
    return found
