"""Pretrains a nano student from scratch, in two phases.

    python scripts/pretrain_nano.py --base a --phase first --out somewhere
    python scripts/pretrain_nano.py --base a --phase last --start somewhere \\
        --out dataenv/students/nano_a

What the base learns is execution: arithmetic in steps, copying operands out of a problem's text,
plain-word operations on lists and strings, the answer format. Problems come with the formula to
use, drawn at random, so that no law can be learned from them. Domain knowledge enters only through
`exposure`: a few skills are seen without a hint, each with its own weight. In the last phase, laws
that are to stay unknown are seen with an answer that says so, and are not guessed from then on.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import random
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dataenv.hashing import rng_of
from dataenv.rows import join_prompt
from dataenv.students.lean import Workers
from dataenv.tasks.procedural import general
from dataenv.tasks.procedural.targets import DOMAINS

USER, ASSISTANT, END, PAD = "<|user|>", "<|assistant|>", "<|end|>", "<|pad|>"
PRETOKEN = r" ?[A-Za-z]{1,16}| ?\d| ?[^\sA-Za-z\d]|\s"


@dataclass(frozen=True)
class Phase:
    """Distinct examples, tokens seen, peak learning rate, and the share of each kind of example."""

    examples: int
    tokens: float
    peak: float
    mixture: dict[str, float]


PHASES = {
    "first": Phase(
        700_000,
        42e6,
        3e-3,
        {
            "arithmetic": 0.22,
            "hinted_law": 0.24,
            "hinted_sentence": 0.10,
            "primitive": 0.16,
            "hinted_code": 0.25,
            "exposed": 0.03,
        },
    ),
    "last": Phase(
        80_000,
        5e6,
        1.5e-3,
        {
            "arithmetic": 0.12,
            "hinted_law": 0.18,
            "hinted_sentence": 0.10,
            "primitive": 0.20,
            "hinted_code": 0.25,
            "exposed": 0.08,
            "blank": 0.07,
        },
    ),
}
EXPOSURES = {0.0: 0.72, 0.05: 0.12, 0.25: 0.10, 1.0: 0.06}
"""Share of the laws that get each relative weight in the unhinted part of the mixture."""


def group_of(skill: str) -> str:
    """The law of a skill: who has seen ``speed:v`` knows ``speed:t``, so they go together."""
    return skill if ">" in skill else skill.partition(":")[0]


def exposure_of(base: str) -> dict[tuple[str, str], float]:
    """The weight of each skill in the unhinted part, drawn from the base's name.

    Special topics are met by no base, neither as they are nor with a blank answer.
    """
    weights = {}
    for domain in DOMAINS.values():
        for skill in domain.skills:
            # a law at a time, so that a new one changes nothing for the others
            rng = rng_of("exposure", base, domain.name, group_of(skill))
            weight = rng.choices([*EXPOSURES], [*EXPOSURES.values()])[0]
            met = domain.skills[skill].topic not in domain.special_topics
            weights[domain.name, skill] = weight * met
    return weights


class Corpus:
    """Draws examples of a base's mixture."""

    def __init__(self, base: str, phase: str, seed: int) -> None:
        self.rng = rng_of("corpus", base, phase, seed)
        exposure = exposure_of(base)
        seen = {key: w for key, w in exposure.items() if w > 0}
        self.exposed, self.weights = list(seen), list(seen.values())
        self.blank = [
            (DOMAINS[name], law, unknown)
            for name, laws in general.PLAIN_LAWS.items()
            for law in laws
            for unknown in law.formulas
            if exposure[name, f"{law.name}:{unknown}"] == 0
        ]
        self.kinds, self.shares = list(PHASES[phase].mixture), list(PHASES[phase].mixture.values())

    def draw(self) -> general.Example:
        """One (prompt, completion)."""
        kind = self.rng.choices(self.kinds, self.shares)[0]
        if kind == "blank":
            return general.blank_law_example(self.rng, *self.rng.choice(self.blank))
        if kind != "exposed":
            return general.KINDS[kind](self.rng)
        domain, skill = self.rng.choices(self.exposed, self.weights)[0]
        problem = DOMAINS[domain].sample(skill, self.rng.randint(1, 3), self.rng)
        return join_prompt(problem.instruction, problem.input), problem.output


def draw_many(arguments: tuple[str, str, int, int]) -> list[general.Example]:
    """`count` examples from one seed; runs in a worker process."""
    base, phase, seed, count = arguments
    corpus = Corpus(base, phase, seed)
    return [corpus.draw() for _ in range(count)]


def build_tokenizer(words_limit: int = 1100):
    """Whole frequent words, single digits, and bytes for all the rest: lossless on any text."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

    counts: Counter[str] = Counter()
    rng = random.Random(0)
    for domain in DOMAINS.values():
        for skill in domain.skills.values():
            if skill.topic in domain.special_topics:
                continue
            texts = [*skill.open_templates, skill.work(skill.draw(rng, 2))]
            counts.update(set(re.findall(r" ?[A-Za-z]{2,16}", " | ".join(texts))))
    for _ in range(20000):
        example = rng.choice(list(general.KINDS.values()))(rng)
        counts.update(set(re.findall(r" ?[A-Za-z]{2,16}", " ".join(example))))
    code_letters = re.compile(r"^[a-z]{2,6}$")  # unspaced lower case: mostly letters of strings
    words = [
        word for word, n in counts.most_common() if n >= (400 if code_letters.match(word) else 1)
    ][:words_limit]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    marks = ["Ġ" + c for c in "0123456789=*+-/()[]{}'\",.:<>%#?!|&_"]
    vocabulary = [PAD, USER, ASSISTANT, END, "<|unk|>", *letters, *marks]
    vocabulary += [word.replace(" ", "Ġ") for word in words]
    tokenizer = Tokenizer(
        models.WordPiece(
            {token: number for number, token in enumerate(dict.fromkeys(vocabulary))},
            unk_token="<|unk|>",
            continuing_subword_prefix="",
            max_input_chars_per_word=64,
        )
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKEN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(t, special=True, normalized=False) for t in (PAD, USER, ASSISTANT, END)]
    )
    return tokenizer


def encode_corpus(
    tokenizer, examples: list[general.Example]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All token ids in a row, where each example starts, and where its completion starts."""
    tokenizer.encode_special_tokens = True
    ids, starts, completions = [], [0], []
    user, assistant, end = (tokenizer.token_to_id(t) for t in (USER, ASSISTANT, END))
    prompts = tokenizer.encode_batch([p for p, _ in examples], add_special_tokens=False)
    outputs = tokenizer.encode_batch([" " + c for _, c in examples], add_special_tokens=False)
    for prompt, output in zip(prompts, outputs, strict=True):
        completions.append(starts[-1] + len(prompt.ids) + 2)
        ids += [user, *prompt.ids, assistant, *output.ids, end]
        starts.append(len(ids))
    return np.array(ids, np.int16), np.array(starts), np.array(completions)


def batches(starts: np.ndarray, tokens: int, rng: np.random.Generator):
    """Examples of about equal length, together about `tokens`, in random order, for ever."""
    lengths = np.diff(starts)
    while True:
        order = np.argsort(lengths + rng.random(len(lengths)) * 4)
        groups, group, longest = [], [], 0
        for index in order:
            longest = max(longest, lengths[index])
            if group and longest * (len(group) + 1) > tokens:
                groups.append(group)
                group, longest = [], lengths[index]
            group.append(index)
        rng.shuffle(groups)
        yield from groups


def collate(ids, starts, completions, group):
    """Padded ids and targets of one batch."""
    import torch

    width = max(starts[i + 1] - starts[i] for i in group)
    tokens = np.zeros((len(group), width), np.int64)
    target = np.zeros((len(group), width), bool)
    for row, i in enumerate(group):
        tokens[row, : starts[i + 1] - starts[i]] = ids[starts[i] : starts[i + 1]]
        target[row, completions[i] - starts[i] : starts[i + 1] - starts[i]] = True
    return torch.from_numpy(tokens), torch.from_numpy(target)


def build_model(vocabulary: int, seed: int):
    """A four-layer Llama of about a million parameters."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=1,  # decoding is bound by the traffic of keys and values
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=3,
        rope_theta=10000.0,
    )
    return LlamaForCausalLM(config)


def backward(model, data, group: list[int], workers: Workers) -> tuple[float, int]:
    """Sets the gradients of a batch's mean loss over completion tokens; the loss, and the tokens."""
    import torch.nn.functional as F

    shards = [collate(*data, group[n :: workers.count]) for n in range(workers.count)]
    total = sum(int(target[:, 1:].sum()) for _, target in shards)

    def loss_of(shard):
        tokens, target = shard
        hidden = model.model(input_ids=tokens, use_cache=False).last_hidden_state[:, :-1]
        chosen = target[:, 1:]
        logits = model.lm_head(hidden[chosen])
        return F.cross_entropy(logits, tokens[:, 1:][chosen], reduction="sum") / total

    loss = workers.backward(list(model.parameters()), shards, loss_of)
    return loss, sum(tokens.numel() for tokens, _ in shards)


def optimisers(model, peak: float) -> list:
    """Muon for the matrices of the layers, AdamW for embeddings and norms."""
    import torch

    hidden = [p for n, p in model.named_parameters() if p.ndim == 2 and "layers" in n]
    rest = [p for n, p in model.named_parameters() if not (p.ndim == 2 and "layers" in n)]
    return [
        torch.optim.Muon(hidden, lr=peak, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=peak, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
    ]


def schedule(progress: float, step: int) -> float:
    """Share of the peak rate: 300 steps of warm-up, then a cosine over the tokens."""
    return min(1, (step + 1) / 300) * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def train(
    model, data, tokens: float, peak: float, seed: int, curve: Path, keep, workers: Workers
) -> None:
    """Runs over the data until that many tokens were seen; `keep()` saves what there is."""
    import torch

    both = optimisers(model, peak)
    began, seen, losses = time.monotonic(), 0, []
    with curve.open("w") as out:
        for step, group in enumerate(batches(data[1], 3072, np.random.default_rng(seed))):
            if seen >= tokens:
                break
            loss, count = backward(model, data, group, workers)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for optimiser in both:
                optimiser.param_groups[0]["lr"] = peak * schedule(seen / tokens, step)
                optimiser.step()
            seen += count
            losses.append(loss)
            if (step + 1) % 200 == 0:
                record = {
                    "step": step + 1,
                    "tokens": seen,
                    "loss": round(float(np.mean(losses)), 4),
                    "minutes": round((time.monotonic() - began) / 60, 2),
                }
                losses = []
                out.write(json.dumps(record) + "\n")
                out.flush()
                print(record, flush=True)
            if (step + 1) % 3000 == 0:
                keep()


def save(model, tokenizer, folder: Path) -> None:
    """A normal Hugging Face checkpoint folder."""
    from transformers import PreTrainedTokenizerFast

    folder.mkdir(parents=True, exist_ok=True)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token="<|unk|>",
        additional_special_tokens=[USER, ASSISTANT],
        model_max_length=512,
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'assistant' %}<|assistant|> "
        "{{ m['content'] }}<|end|>{% else %}<|user|>{{ m['content'] }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    wrapped.save_pretrained(folder)
    model.save_pretrained(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="a", help="name of the base: seeds data and exposure")
    parser.add_argument("--phase", choices=tuple(PHASES), default="first")
    parser.add_argument("--start", type=Path, help="checkpoint to go on from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    plan = PHASES[args.phase]
    seed = int(rng_of("base", args.base).random() * 2**31)
    jobs = [(args.base, args.phase, number, 5000) for number in range(plan.examples // 5000)]
    with multiprocessing.Pool(args.threads) as pool:
        examples = [e for part in pool.imap(draw_many, jobs) for e in part]
    if args.start:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(args.start / "tokenizer.json"))
    else:
        tokenizer = build_tokenizer()
    data = encode_corpus(tokenizer, examples)
    print(
        f"{len(examples)} examples, {len(data[0]) / len(examples):.1f} tokens each, "
        f"vocabulary {tokenizer.get_vocab_size()}",
        flush=True,
    )
    import torch
    from transformers import LlamaForCausalLM

    torch.set_num_threads(1)
    if args.start:
        model = LlamaForCausalLM.from_pretrained(args.start, dtype=torch.float32)
    else:
        model = build_model(tokenizer.get_vocab_size(), seed)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters", flush=True)
    args.out.mkdir(parents=True, exist_ok=True)

    def keep() -> None:
        save(model, tokenizer, args.out)

    curve = args.out / f"pretraining_{args.phase}.jsonl"
    workers = Workers(args.threads)
    train(model, data, plan.tokens, plan.peak, seed, curve, keep, workers)
    keep()


if __name__ == "__main__":
    main()
