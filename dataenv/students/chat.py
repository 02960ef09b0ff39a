"""Turning prompts and completions into token ids, so that no text can forge a control token.

The chat template is rendered once around placeholders and cut into pieces. Pieces may hold control
tokens; contents are tokenised apart, with control tokens spelt out as plain text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_USER, _ASSISTANT = "Qprompt7Q", "Qcompletion7Q"


@dataclass(frozen=True)
class ChatFormat:
    """The ids around contents: `before` prompt `between` completion `after`.

    Args:
        tokenizer: A Hugging Face fast tokenizer.
        before, between, after: Token ids of the template's own pieces.
        space: Whether a completion starts with a space of its own.
        end_ids: Ids at which an answer ends.
        pad_id: Fills up a batch.
    """

    tokenizer: Any
    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    space: bool
    end_ids: tuple[int, ...]
    pad_id: int

    @classmethod
    def of(cls, tokenizer: Any) -> ChatFormat:
        """Cuts a tokenizer's chat template into pieces.

        Raises:
            ValueError: The tokenizer has no chat template, or one that rewrites contents.
        """
        if not tokenizer.chat_template:
            raise ValueError(f"{tokenizer.name_or_path!r} has no chat template")
        messages = [
            {"role": "user", "content": _USER},
            {"role": "assistant", "content": _ASSISTANT},
        ]
        text = tokenizer.apply_chat_template(messages, tokenize=False)
        if text.count(_USER) != 1 or text.count(_ASSISTANT) != 1:
            raise ValueError(f"the chat template of {tokenizer.name_or_path!r} rewrites contents")
        before, rest = text.split(_USER)
        between, after = rest.split(_ASSISTANT)
        space = between.endswith(" ")

        def ids(piece: str) -> tuple[int, ...]:
            return tuple(tokenizer(piece, add_special_tokens=False)["input_ids"])

        after_ids = ids(after.rstrip("\n")) or (tokenizer.eos_token_id,)
        ends = {after_ids[0], tokenizer.eos_token_id} - {None}
        pad = tokenizer.pad_token_id
        return cls(
            tokenizer=tokenizer,
            before=ids(before),
            between=ids(between.rstrip(" ") if space else between),
            after=after_ids,
            space=space,
            end_ids=tuple(sorted(ends)),
            pad_id=tokenizer.eos_token_id if pad is None else pad,
        )

    def text_ids(self, text: str) -> list[int]:
        """Content as ids; what looks like a control token is encoded as plain text."""
        encoded = self.tokenizer(text, add_special_tokens=False, split_special_tokens=True)
        return encoded["input_ids"]

    def prompt_ids(self, prompt: str) -> list[int]:
        """Everything up to where the student starts to write."""
        return [*self.before, *self.text_ids(prompt), *self.between]

    def completion_ids(self, completion: str) -> list[int]:
        """What the student should write, with its end."""
        return [*self.text_ids((" " if self.space else "") + completion), *self.after]

    def decode(self, ids: list[int]) -> str:
        """The text of an answer."""
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()
