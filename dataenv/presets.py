"""Presets: the sizes and budgets of every registered id, in one table."""

from __future__ import annotations

from dataclasses import dataclass, field

from dataenv.config import (
    TAPE_MODES,
    DecodingConfig,
    EndpointConfig,
    ProgramLimits,
    TrainingConfig,
    require,
)

SPLITS = {
    "train": range(0, 10**6),
    "validation": range(10**6, 2 * 10**6),
    "test": range(2 * 10**6, 3 * 10**6),
}
"""Disjoint ranges of target numbers: what is learned on one is tested on another."""

REAL, SURROGATE = LABORATORIES = ("real", "surrogate")
"""Who says what the student of a set gets right; the latter also is a flag of its results."""


@dataclass(frozen=True)
class EnvConfig:
    """Everything that an environment is made of. Keys of YAML files are these fields."""

    domain: str = "science"
    """An offline domain (science, code or finance), a benchmark, or a task folder."""
    student: str = "nano-a"
    """A student that ships or can be fetched (`dataenv list`), a checkpoint folder, or a hub id."""
    teacher: str = "procedural"
    """A name of `dataenv.teachers.TEACHERS`; openai is whatever `endpoint` names."""
    endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    """Where the teacher openai is served."""
    tape: str = ""
    """A file that keeps the replies of the teacher openai; empty: none."""
    tape_mode: str = "cache"
    """cache, record, or replay, which needs no server; see `dataenv.teachers.tape`."""
    split: str = "train"
    """Targets to draw from at reset: train, validation or test."""
    public: int = 100
    """Visible items; of a benchmark, as of all that follow, at most so many."""
    reward: int = 200
    """Hidden items that feed the reward; 0: the public ones do."""
    private: int = 500
    """Hidden items that are scored once, at the end."""
    seeds: int = 200
    """Raw questions without answers."""
    pool: int = 300
    """Raw rows."""
    retention: int = 20
    """General items, for forgetting."""
    min_rows: int = 24
    """Fewest rows of a valid set."""
    max_rows: int = 96
    """Rows that training uses; the rest is ignored."""
    calls: int = 480
    """Teacher calls; 0: there is no teacher."""
    calls_per_program: int = 0
    """Of these, what one program may spend; 0: all that are left."""
    trainings: int = 6
    """Trainings."""
    steps: int = 60
    """Environment steps."""
    wall_clock_s: float | None = None
    """Seconds until the episode truncates; none: no limit."""
    reward_mode: str = "dense"
    """dense: the change at every evaluation; final: everything at the end."""
    cost_weight: float = 0.0
    """Charged for the share of calls and of trainings used."""
    invalid_penalty: float = 0.01
    """Charged for an invalid action."""
    score_private: bool = True
    """Whether the submission is scored on the private items; off in RL training."""
    threads: int = 1
    """Cores that share the student's batches."""
    device: str = "auto"
    """Where the student runs: cpu, cuda, or auto, a GPU if there is one and the student is large."""
    dtype: str = "auto"
    """Of the student's weights: float32, bfloat16, or auto, bfloat16 where it is fast and the student
    large."""
    attention: str = "auto"
    """An implementation of transformers', e.g. sdpa or flash_attention_2."""
    student_endpoint: EndpointConfig = field(default_factory=EndpointConfig)
    """Where the student is served with its adapters (see `dataenv.students.served`); without a
    base_url it answers in this process."""
    program: ProgramLimits = field(default_factory=ProgramLimits)
    """What a program may use besides calls."""
    unsafe_no_sandbox: bool = False
    """Whether programs run without isolation, with all that this user may do; marks the result."""
    laboratory: str = REAL
    """real: the student is trained and asked; surrogate: what it would get right is predicted, much
    faster, and marks the result."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    """How the student is trained."""
    decoding: DecodingConfig = field(default_factory=DecodingConfig)
    """How the student is asked."""

    def __post_init__(self) -> None:
        require(self.split in SPLITS, "split", self.split, "'train', 'validation' or 'test'")
        require(
            self.reward_mode in ("dense", "final"),
            "reward_mode",
            self.reward_mode,
            "'dense' or 'final'",
        )
        require(
            self.tape_mode in TAPE_MODES, "tape_mode", self.tape_mode, "cache, record or replay"
        )
        require(
            self.laboratory in LABORATORIES, "laboratory", self.laboratory, "'real' or 'surrogate'"
        )
        for name in ("public", "private", "min_rows", "trainings", "steps", "threads"):
            require(getattr(self, name) >= 1, name, getattr(self, name), "at least 1")
        for name in (
            "reward",
            "seeds",
            "pool",
            "calls",
            "calls_per_program",
            "retention",
            "cost_weight",
            "invalid_penalty",
        ):
            require(getattr(self, name) >= 0, name, getattr(self, name), "0 or more")
        require(self.max_rows >= self.min_rows, "max_rows", self.max_rows, "at least min_rows")


FULL = {
    "public": 200,
    "reward": 300,
    "private": 1000,
    "seeds": 1000,
    "pool": 3000,
    "retention": 60,
    "min_rows": 1000,
    "max_rows": 2000,
    "calls": 50_000,
    "trainings": 30,
    "steps": 400,
}

FAST = {name: getattr(EnvConfig(), name) for name in FULL}  # the defaults

PAPER = {
    **FULL,
    "public": 10_000,
    "reward": 0,
    "private": 10_000,
    "pool": 0,
    "student": "meta-llama/Llama-3.1-8B-Instruct",
    "teacher": "openai",
    "training": TrainingConfig(
        backend="trl",
        epochs=3,
        learning_rate=1e-4,
        micro_batch=1,
        checkpointing=True,
        lora_rank=8,
        lora_alpha=16,
        max_tokens=2048,
    ),
    "decoding": DecodingConfig(max_new_tokens=2048, batch_size=16),
    "calls_per_program": 5_000,
    "program": ProgramLimits(seconds=10_800.0),
}
"""The setting of arXiv 2605.30407, with all items of a benchmark."""

OFFLINE = ("science", "code", "finance")
"""Domains that come with the package."""
BENCHMARK_IDS = {
    "SciBench": "scibench",
    "LiveCodeBench": "livecodebench",
    "FinanceReasoning": "financereasoning",
    "CRUXEval": "cruxeval",
}

PRESETS: dict[str, dict] = {
    f"dataenv/{domain.capitalize()}{suffix}-v0": {"domain": domain, **sizes}
    for domain in OFFLINE
    for suffix, sizes in (
        ("", FULL),
        ("-fast", FAST),
        ("-surrogate", {**FAST, "laboratory": SURROGATE}),
    )
} | {f"dataenv/{name}-v0": {"domain": domain, **PAPER} for name, domain in BENCHMARK_IDS.items()}
"""Keyword arguments by registered id."""
