"""The forms in which a model that follows instructions is to reply, and how a reply is checked. Free of torch.

    form.request  ──asked with the prompt──▶  raw text  ──form.check──▶  Reply(text) | Reply(error)

Chat models wrap what they are asked for: "Sure! Here is the list: **1.** ...". A reply is repaired where that does not
change what it says, and refused otherwise, so that nothing malformed reaches fusion or a map.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rsmoe_core.words.numbers import number

MAX_ITEMS = 12
"""Items of a list that are kept."""
_PHRASE_WORDS = 12
_PREAMBLE = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok)\b[^.:!\n]*[.:!]\s*)?"
    r"(?:(?:here (?:is|are)|the (?:answer|caption|description|list) is|answer|caption|description|response|output|final"
    r" (?:answer|caption))\b[^:\n]{0,60}:\s*)?",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"^(?:i(?:(?:'|’)m| am) (?:very )?sorry|sorry\b|i (?:cannot|can(?:'|’)t|can not) "
    r"|i(?:(?:'|’)m| am) (?:unable|not able)|as an ai\b|unable to )",
    re.IGNORECASE,
)
_NOTHING = frozenset(("", "none", "n/a", "nothing", "no objects", "null", "unknown"))
_QUOTED = 60
"""Characters of a malformed reply that its error quotes."""


@dataclass(frozen=True)
class Reply:
    """What is left of a model's raw text."""

    text: str = ""
    error: str | None = None
    """One line that says why there is no text; None where there is one."""


@dataclass(frozen=True)
class ReplyForm:
    """One form of reply."""

    name: str
    request: str
    """What the model is told about the form, after its prompt."""
    schema: Mapping[str, Any]
    """JSON schema of the value, for servers that can hold a model to one."""
    parse: Callable[[str], str | None]
    """Cleaned text → what it says in this form; None where it does not say anything in it."""
    max_tokens: int
    """Tokens that suffice for it."""

    def check(self, raw: str) -> Reply:
        """Repair a raw text, or say why it cannot be used."""
        text = clean(raw)
        if _REFUSAL.match(text):
            return Reply(error=f"the model declined: {_quote(raw)}")
        if not text:
            return Reply(error="the model wrote nothing")
        parsed = self.parse(text)
        if parsed is None:
            return Reply(error=f"not {self.name}: {_quote(raw)}")
        return Reply(parsed)


def clean(raw: str) -> str:
    """The text without what chat models wrap it in: thoughts, code fences, special tokens, mark-up and preambles."""
    text = re.sub(r"<think>.*?(?:</think>|\Z)", " ", raw, flags=re.DOTALL)
    text = re.sub(r"<\|[^|>]*\|>|</?s>|<(?:pad|eos|bos|unk|end_of_turn|start_of_turn)>", " ", text)
    text = re.sub(r"```\w*", " ", text)
    text = re.sub(r"\*\*|__|`|^#+\s*", "", text, flags=re.MULTILINE).strip()
    text = _PREAMBLE.sub("", text, count=1).strip()
    return _without_quotes(text)


def _without_quotes(text: str) -> str:
    if len(text) > 1 and (text[0], text[-1]) in (('"', '"'), ("“", "”"), ("'", "'")) and text[0] not in text[1:-1]:
        return text[1:-1].strip()
    return text


def _quote(raw: str) -> str:
    line = " ".join(raw.split())
    return f'"{line[:_QUOTED]}..."' if len(line) > _QUOTED else f'"{line}"'


def from_json(text: str) -> Any:
    """The value that a reply in JSON holds; None where it is no JSON. An object with a single entry is that entry."""
    if not text.startswith(("{", "[")):
        return None
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except ValueError:
        return None
    if isinstance(value, dict) and len(value) == 1:
        return next(iter(value.values()))
    return value


def _plain(text: str) -> str:
    """A reply in JSON as plain text; another one as it is."""
    value = from_json(text)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())


def without_loops(text: str) -> str:
    """The text up to where it begins to repeat itself, as small models do."""
    text = _one_line(text)
    ends = _word_ends(text)
    words = [text[start:end].strip() for start, end in zip([0, *ends], ends, strict=False)]
    for length in (1, 2, 3, 4, 5, 6, 8, 10, 12):
        for start in range(len(words) - 3 * length + 1):
            block = words[start : start + length]
            if words[start + length : start + 2 * length] == block == words[start + 2 * length : start + 3 * length]:
                return text[: ends[start + length - 1]]
    return text


def _phrase(text: str) -> str | None:
    line = _plain(text).strip().split("\n")[0]
    line = re.sub(r"^(?:[-*•]|\d+[.)])\s+", "", line).rstrip(f"{_CLAUSE_MARKS}{_SENTENCE_MARKS.replace('?', '')} ")
    return _first_words(without_loops(line), _PHRASE_WORDS) or None if any(map(str.isalnum, line)) else None


def _items(text: str) -> str | None:
    """Bullets, numbered lines, JSON or a line with commas → "two ships, a quay"; each item once."""
    plain = _plain(text)
    lines = [line for line in plain.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].rstrip().endswith((":", "：")):
        lines = lines[1:]
    pieces = [
        piece for line in lines for piece in re.split(r"[,;，；、،؛]", re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", line))
    ]
    items = dict.fromkeys(" ".join(piece.split()).strip(". 。") for piece in pieces)
    kept = [
        item
        for item in items
        if item
        and len(_word_ends(item)) <= _PHRASE_WORDS
        and any(map(str.isalnum, item))
        and item.lower() not in _NOTHING
    ]
    if not kept:
        return None if _one_line(plain).strip(". ").lower() not in _NOTHING else ""
    return ", ".join(kept[:MAX_ITEMS])


def _yes_or_no(text: str) -> str | None:
    match = re.match(r"\W*(yes|no|true|false)\b", _plain(text), re.IGNORECASE)
    if match is None:
        return None
    return "yes" if match[1].lower() in ("yes", "true") else "no"


def _whole_number(text: str) -> str | None:
    value = number(re.sub(r"^there (?:is|are) ", "", _one_line(_plain(text)), flags=re.IGNORECASE))
    return f"{value:.0f}" if value is not None and value == int(value) else None


def shorten(text: str, words: int) -> str:
    """At most so many words: whole sentences where they fit, else the first one up to its last clause that does."""
    ends = _word_ends(text)
    if len(ends) <= words:
        return text
    text = text[: ends[words - 1]]
    if sentences := [match.end() for match in _SENTENCE_END.finditer(text)]:
        return text[: sentences[-1]].strip()
    clauses = [match.end() for match in _CLAUSE_END.finditer(text)]
    if clauses and len(_word_ends(text[: clauses[-1]])) >= words // 2:
        text = text[: clauses[-1]]
    return ended(_DANGLING.sub("", text).rstrip(f"{_CLAUSE_MARKS} "))


def ended(text: str) -> str:
    """A sentence with the mark that ends it in its script, unless it has one."""
    if not text or text[-1] in _SENTENCE_MARKS:
        return text
    return text + ("。" if re.match(f"[{_HAN_AND_KANA}]", text[-1]) else ".")


def _word_ends(text: str) -> list[int]:
    """Where each word ends, the marks behind it included."""
    return [match.end() for match in _WORD.finditer(text)]


def _first_words(text: str, words: int) -> str:
    """A text up to so many words."""
    return text[: (_word_ends(text) or [0])[:words][-1]].strip()


_HAN_AND_KANA = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED = rf"{_HAN_AND_KANA}\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Scripts without spaces between words: the former, Thai, Lao, Burmese and Khmer."""
_WORD = re.compile(rf"[{_UNSPACED}]{{1,2}}[、-〿！-／：-？….,;:!?؟،؛]*|[^\s{_UNSPACED}]+")
"""In scripts without spaces, two characters are taken for a word."""
_SENTENCE_MARKS = ".!?…。！？؟۔।"
_SENTENCE_END = re.compile(r"[.!?…؟۔।](?=\s|$)|[。！？][」』）”]*")
_CLAUSE_MARKS = ",;:，；：、،؛"
_CLAUSE_END = re.compile(r"[,;:،؛](?=\s|$)|[，；：、]")
_DANGLING = re.compile(
    r"(?:\s+(?:a|an|the|and|or|of|with|in|on|at|by|near|to|from|for|is|are|some|several|many|its|their))+$",
    re.IGNORECASE,
)
"""Words that no sentence ends with."""


def _text_of(words: int) -> Callable[[str], str | None]:
    def parse(text: str) -> str | None:
        line = without_loops(_one_line(re.sub(r"^\s*(?:[-*•]|\d+[.)])\s+", "", _plain(text), flags=re.MULTILINE)))
        return shorten(line, words) if any(map(str.isalnum, line)) else None

    return parse


def _tokens(words: int) -> int:
    """Tokens for so many words in any language, with some to spare for what is cut off."""
    return 3 * words + 16


_TEXT = {"type": "string"}
PHRASE = ReplyForm("a phrase", "Reply with a few words only.", _TEXT, _phrase, 24)
ANSWER = ReplyForm("an answer", "Answer in a few words, in the language of the question.", _TEXT, _phrase, 32)
ITEMS = ReplyForm(
    "a list",
    f"Reply with a list of at most {MAX_ITEMS} short items, separated by commas, and nothing else.",
    {"type": "array", "items": {"type": "string"}, "maxItems": MAX_ITEMS},
    _items,
    64,
)
YES_OR_NO = ReplyForm("yes or no", "Reply with yes or no only.", {"enum": ["yes", "no"]}, _yes_or_no, 4)
WHOLE_NUMBER = ReplyForm(
    "a whole number", "Reply with one whole number in digits only.", {"type": "integer"}, _whole_number, 8
)


def sentence(words: int) -> ReplyForm:
    """One sentence of at most so many words."""
    request = f"Reply with one plain sentence of at most {words} words."
    return ReplyForm("a sentence", request, _TEXT, _text_of(words), _tokens(words))


SENTENCE = sentence(words=20)


def paragraph(words: int) -> ReplyForm:
    """A few sentences of at most so many words together."""
    request = f"Reply with a few plain sentences of at most {words} words together."
    return ReplyForm("a text", request, _TEXT, _text_of(words), _tokens(words))


def prompts_for(experts: Mapping[str, str]) -> ReplyForm:
    """A prompt for each expert, whose values say what the expert is for; the parsed text is a JSON object."""

    def parse(text: str) -> str | None:
        value = from_json(text)
        found = {} if not isinstance(value, dict) else {str(key).strip().lower(): item for key, item in value.items()}
        if not found:
            found = {
                match[1].lower(): match[2] for match in re.finditer(r"^\W*(\w+)\W*[:=]\s*(.+)$", text, re.MULTILINE)
            }
        kept = {name: parsed for name in experts if (parsed := _prompt(found.get(name)))}
        return json.dumps(kept, ensure_ascii=False) if kept else None

    names = ", ".join(f'"{name}: ..."' for name in experts)
    properties = dict.fromkeys(experts, _TEXT)
    return ReplyForm(
        "a prompt for an expert",
        f"Reply with one line for each of them and nothing else: {names}.",
        {"type": "object", "properties": properties, "required": list(experts), "additionalProperties": False},
        parse,
        40 * len(experts),
    )


_PROMPT_WORDS = 25


def _prompt(value: object) -> str:
    text = _one_line(value).strip("\"'") if isinstance(value, str) else ""
    return _first_words(text, _PROMPT_WORDS) if any(map(str.isalnum, text)) else ""
