"""Examples → batches of token ids for vision-language models of transformers, each text with an image of its own.

    TrainingExample ─Prompting─▶ whole prompt │ answer, end of turn ─▶ input ids, labels of the answer alone

The prompt is the one that inference gives, to the token, and the answer's tokens follow it as `generate` would write
them. Batches are padded on the right, where causal models and the Q-Former see nothing of it.

Shapes: R rows (texts), T tokens of prompt and answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rsmoe_core.backends.huggingface.prompting import Prompting
from rsmoe_core.training.examples import TrainingExample

IGNORED = -100
"""Label of tokens that are not learned, as in transformers."""
_ANSWER_TYPES = {"paligemma": 1}
"""Token type of an answer by model type, where it is not 0: PaliGemma reads tokens of type 1 from left to right."""
_PUNCTUATION = frozenset(".,:;!?")
"""At the end of a prompt, they are followed by a space, and so are words; a line break or a special token is not."""
_WORD_START = "▁"
"""Of tokenizers by SentencePiece, which begin every text with the space before its first word."""
_TINY = 1e-8


@dataclass(frozen=True)
class ReplyBatch:
    """R texts to learn."""

    inputs: Mapping[str, Tensor]
    """Of the model's `forward`, without those about images."""
    labels_RT: Tensor
    """Ids of the answers' tokens, IGNORED at all others."""
    weights_R: Tensor
    """Weights of the examples."""

    def to(self, device: torch.device) -> ReplyBatch:
        """The same on another device."""
        inputs = {name: value.to(device) for name, value in self.inputs.items()}
        return ReplyBatch(inputs, self.labels_RT.to(device), self.weights_R.to(device))

    @property
    def last_tokens(self) -> int:
        """Tokens at the end of the rows that hold every answer, and the one before."""
        first = int((self.labels_RT != IGNORED).any(dim=0).int().argmax())
        return self.labels_RT.shape[1] - max(first - 1, 0)

    def loss(self, logits_RTV: Tensor, *, shifted: bool) -> Tensor:
        """Mean cross-entropy of the answers' tokens, each weighted by its example's weight.

        `logits_RTV` may be those of the last tokens only. `shifted` says that a token's logits tell the next token, as
        in models without an encoder of text.
        """
        labels_RT = self.labels_RT[:, -logits_RTV.shape[1] :]
        if shifted:
            logits_RTV, labels_RT = logits_RTV[:, :-1], labels_RT[:, 1:]
        learned_RT = labels_RT != IGNORED
        losses = F.cross_entropy(logits_RTV[learned_RT].float(), labels_RT[learned_RT], reduction="none")
        weights = self.weights_R[:, None].expand_as(labels_RT)[learned_RT]
        return (losses * weights).sum() / weights.sum().clamp(min=_TINY)


def reply_batch(
    prompting: Prompting, examples: Sequence[TrainingExample], *, is_encoder_decoder: bool = False
) -> ReplyBatch:
    """The batch of some examples."""
    texts = [prompting.prompt(one.prompt) for one in examples]
    prompts = [dict(prompting.encode(text)) for text in texts]
    answers = [answer_ids(prompting, text, one.answer) for text, one in zip(texts, examples, strict=True)]
    labels = answers
    if not is_encoder_decoder:
        rows = list(zip(prompts, answers, strict=True))
        labels = [[IGNORED] * len(prompt["input_ids"]) + answer for prompt, answer in rows]
        prompts = [_continued(prompt, answer, prompting.model_type) for prompt, answer in rows]
    inputs = {
        name: _padded([prompt[name] for prompt in prompts], prompting.pad_id if name == "input_ids" else 0)
        for name in prompts[0]
    }
    return ReplyBatch(inputs, _padded(labels, IGNORED), torch.tensor([one.weight for one in examples]))


def answer_ids(prompting: Prompting, prompt: str, answer: str) -> list[int]:
    """The tokens of an answer, as a model writes them behind a whole prompt, and the one that ends it."""
    tokenizer = prompting.tokenizer
    goes_on = prompt[-1:].isalnum() or prompt[-1:] in _PUNCTUATION
    if goes_on and answer and not tokenizer.tokenize("a")[0].startswith(_WORD_START):
        answer = f" {answer}"
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    return [*ids, tokenizer.convert_tokens_to_ids(prompting.end)]


def _continued(prompt: dict[str, list[int]], answer: list[int], model_type: str) -> dict[str, list[int]]:
    """The inputs of a prompt with an answer behind it."""
    types = _ANSWER_TYPES.get(model_type, 0)
    added = {"input_ids": answer, "attention_mask": [1] * len(answer), "token_type_ids": [types] * len(answer)}
    continued: dict[str, Any] = {}
    for name, row in prompt.items():
        is_of_language = not name.startswith("qformer")
        continued[name] = row + added.get(name, [0] * len(answer)) if is_of_language else row
    return continued


def _padded(rows: Sequence[Sequence[int]], fill: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (longest - len(row))] for row in rows])
