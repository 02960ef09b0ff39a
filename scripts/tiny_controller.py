"""A controller of some hundred thousand parameters that calls tools: to try GRPO on a CPU, without a hub.

    python scripts/tiny_controller.py configs/grpo/tiny.yaml

Recipes are played through the tools of the given training, and a random Qwen3 is fine-tuned on what was
said until it says the like. It has learned what a call looks like and nothing about curation. It is
written to the `model` of the file.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train_grpo import GrpoRun, read_run

from dataenv.adapters.trl import Episode, environment_factory, episode_rows
from dataenv.config import DecodingConfig, TrainingConfig
from dataenv.errors import ConfigError
from dataenv.hashing import rng_of
from dataenv.presets import EnvConfig
from dataenv.students.base import Student

TRANSCRIPTS, STEPS, BATCH = 32, 80, 4
RATE = 5e-3
SPREAD = 0.1
"""Of the first weights; with the usual 0.02 a model so narrow learns much slower."""
VOCABULARY = 6_000
"""Enough for all that every prompt has to become a few tokens, which is what makes this cheap."""
SIZES = (8, 16, 32)
START, END, PAD = "<|im_start|>", "<|im_end|>", "<|endoftext|>"
SEED = 1_000_003
"""Of the episodes that recipes are played in; others than those of a training."""
Message = dict[str, Any]


def make(run: GrpoRun, folder: Path, student: Student | None = None) -> float:
    """Writes a controller to a folder, and returns its last loss.

    Args:
        run: Whose tools it is to call: draw, generate, train and submit are used.
        folder: Made if it is not there.
        student: One that is loaded already.

    Raises:
        ConfigError: An operation of the recipes is not offered.
    """
    missing = {"draw", "generate"} - set(run.operations)
    if missing:
        raise ConfigError(f"the recipes need the operation {min(missing)!r}; offer it")
    factory = environment_factory(
        hasty(run.env), run.operations, report_chars=run.report_chars, student=student
    )
    episode = factory()
    names = sorted(name for name in vars(factory) if not name.startswith("_"))  # TRL's order
    tools = [getattr(episode, name) for name in names]
    transcripts = played(run, episode)
    tokenizer = tokenizer_of(transcripts, tools)
    return fine_tuned(tokenizer, transcripts, tools, folder)


def hasty(config: EnvConfig) -> EnvConfig:
    """The same with students that learn and say less: only what a report looks like matters here."""
    return dataclasses.replace(
        config,
        reward=1,
        retention=1,
        training=TrainingConfig(epochs=1),
        decoding=DecodingConfig(max_new_tokens=4),
    )


def played(run: GrpoRun, episode: Episode) -> list[list[Message]]:
    """What is said in episodes in which recipes are played."""
    rows = episode_rows(run.env, TRANSCRIPTS, domains=run.domains, seed=SEED)
    found = []
    for number, row in enumerate(rows.to_list()):
        rng = rng_of("recipe", number)
        prompt = row["prompt"]
        said = [{"role": "user", "content": prompt[-1]["content"] + episode.reset(**row)}]
        for name, arguments in recipe(rng):
            said += asyncio.run(turn(episode, name, arguments))
        found.append([*said, {"role": "assistant", "content": "Done."}])
    return found


def recipe(rng: random.Random) -> list[tuple[str, dict[str, Any]]]:
    """Rows from the pool, the teacher or both; a training; the submission."""
    draw = ("draw", {"n": rng.choice(SIZES)})
    generate = ("generate", {"brief": "problems like the public items", "n": rng.choice(SIZES)})
    ways: list[list[tuple[str, dict[str, Any]]]] = [[draw], [generate], [draw, generate]]
    return [*rng.choice(ways), ("train", {}), ("submit", {})]


async def turn(episode: Episode, name: str, arguments: dict[str, Any]) -> list[Message]:
    """A call and its answer."""
    function = {"name": name, "arguments": arguments}
    call = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }
    answer = await getattr(episode, name)(**arguments)
    return [call, {"role": "tool", "name": name, "content": answer}]


def tokenizer_of(transcripts: Sequence[list[Message]], tools: list[Any]) -> Any:
    """A tokenizer of such transcripts, with the chat template of Qwen3.

    Its tokens are digits, and pieces of lines as long as they recur.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast
    from trl.chat_template_utils import qwen3_instruct_2507_chat_template

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\d|\n"), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=len(transcripts) // 2,
        special_tokens=[PAD, START, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    blank = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)
    blank.chat_template = qwen3_instruct_2507_chat_template
    texts = [blank.apply_chat_template(each, tools=tools, tokenize=False) for each in transcripts]
    pieces = [
        piece for text in texts for piece in re.split(f"{re.escape(START)}|{re.escape(END)}", text)
    ]
    inner.train_from_iterator(pieces, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD)
    tokenizer.chat_template = blank.chat_template
    return tokenizer


def fine_tuned(
    tokenizer: Any, transcripts: list[list[Message]], tools: list[Any], folder: Path
) -> float:
    """Fine-tunes a random model on what the controller said, writes it, and returns the last loss."""
    import torch
    from datasets import Dataset
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from trl import SFTConfig, SFTTrainer
    from trl.chat_template_utils import get_training_chat_template

    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        initializer_range=SPREAD,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    template = get_training_chat_template(tokenizer)  # marks what the assistant says
    rows = [
        tokenizer.apply_chat_template(
            each,
            tools=tools,
            chat_template=template,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        for each in transcripts
    ]
    labelled = [
        {
            "input_ids": row["input_ids"],
            "labels": [
                i if own else -100 for i, own in zip(row["input_ids"], row["assistant_masks"])
            ],
        }
        for row in rows
    ]
    with tempfile.TemporaryDirectory() as scratch:
        settings = SFTConfig(
            output_dir=scratch,
            max_steps=STEPS,
            learning_rate=RATE,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=5,
            adam_beta2=0.95,
            per_device_train_batch_size=BATCH,
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            save_strategy="no",
            report_to="none",
            logging_steps=10,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
            disable_tqdm=True,
        )
        trainer = SFTTrainer(
            Qwen3ForCausalLM(config),
            settings,
            train_dataset=Dataset.from_list(labelled),
            processing_class=tokenizer,
        )
        trainer.train()
    trainer.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return [each["loss"] for each in trainer.state.log_history if "loss" in each][-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    arguments = parser.parse_args()
    run = read_run(arguments.config)
    loss = make(run, Path(run.model))
    print(f"{run.model}: loss {loss:.3f} on what it is to say")


if __name__ == "__main__":
    main()
