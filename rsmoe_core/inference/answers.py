"""Requests with a question → Answers.

    parsed ─router─▶ prompts for the experts that can help ─experts─▶ drafts, each with its probability
            ─fusion by confidence─▶ Answer
    parsed ─detector─▶ things found, where single things are asked for and can be seen ─▶ Answer

What was found one by one beats what an expert says of the picture as a whole: a ship of five pixels is not among the
vision tokens. So experts are asked only where the detectors do not settle it. They read the tokens of the caption task:
all questions about a picture share one look.

Shapes: R requests, Q vision tokens, H features.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from torch import Tensor

from rsmoe_core.data.base import Boxes
from rsmoe_core.data.qa import where
from rsmoe_core.inference import count_distribution
from rsmoe_core.inference.detection import Detectors
from rsmoe_core.metrics import answer_text
from rsmoe_core.model.language.decoder import Generation
from rsmoe_core.model.language.generation import write
from rsmoe_core.model.rsmoe import RSMoE
from rsmoe_core.questions.types import ParsedQuestion
from rsmoe_core.roles import ANSWERING, ROUTER
from rsmoe_core.types import SURE, UNKNOWN, Answer, Detection, Request
from rsmoe_core.words.grammar import article, plural

_ANSWER_TOKENS = 16
_SEEN_IN_DETAIL = ("presence", "count", "comparison", "location")
"""Kinds of question that the detector helps with."""
_COARSEST: Mapping[str, float] = MappingProxyType(
    {"car": 2.0, "bush": 3.0, "swimming pool": 5.0, "house": 10.0, "tennis court": 10.0, "basketball court": 10.0}
    | {"storage tank": 10.0, "mobile home": 10.0, "building": 20.0, "baseball field": 20.0, "bridge": 30.0}
    | {"stadium": 30.0, "church": 20.0, "train": 10.0, "container": 10.0, "road": 30.0, "runway": 60.0}
)
"""Metres per pixel from which on a thing cannot be seen, for things without a cls of their own."""
_FITTING: Mapping[str, str] = MappingProxyType(
    {
        "count": r"^\d+$",
        "location": r"\b(left|right|top|up|upper|bottom|lower|cent(er|re)|middle|corners?|diagonal|everywhere|see)\b",
        "color": r"^(green|white|yellow|red|blue|gr[ae]y|brown|black|dark|light)\b",
        "rural_urban": r"^(rural|urban)$",
    }
)
"""What an answer of some kinds has to hold; an expert that says anything else did not understand the question."""
_NOTHING_FOUND = 0.02
"""Probability that a thing is there although the detector found none."""


@dataclass(frozen=True)
class Said:
    """What the experts say to one question."""

    prompts: Mapping[str, str]
    """The router's prompts."""
    drafts: Mapping[str, tuple[str, float]]
    """Expert → its text and the probability that it gives to it."""

    def yes(self) -> float:
        """Probability of yes, by the mean of the experts asked."""
        shares = {"yes": lambda share: share, "no": lambda share: 1 - share}
        return sum(shares.get(text, lambda _: 0.5)(s) for text, s in self.drafts.values()) / len(self.drafts)

    def best(self) -> tuple[str, float]:
        """The text with the most weight and its share of the weight that was there to give."""
        weights: dict[str, float] = defaultdict(float)
        for text, share in self.drafts.values():
            weights[text] += share / len(self.drafts)
        text = max(weights, key=lambda name: weights[name])
        return text, weights[text]

    def evidence(self) -> str:
        """What each expert said."""
        return "; ".join(f"{name} expert: {text} ({share:.2f})" for name, (text, share) in self.drafts.items())


def question_of(request: Request) -> ParsedQuestion:
    """What is asked; requests without a question are for `Engine.describe`."""
    assert request.parsed is not None
    return request.parsed


def ask_experts(model: RSMoE, tokens_RQH: Tensor, parsed_questions: Sequence[ParsedQuestion]) -> list[Said]:
    """Route each question and let the experts that it goes to answer; all of a step in one batch."""
    questions = [parsed.canonical for parsed in parsed_questions]
    roles = [ROUTER] * len(questions)
    limit = model.config.decoding.prompt_tokens
    routed = write(model.language, model.tokenizer, tokens_RQH, questions, max_tokens=limit, roles=roles)
    prompts = [_prompts(model, written, parsed) for written, parsed in zip(routed, parsed_questions, strict=True)]
    rows = [(number, name, prompt) for number, own in enumerate(prompts) for name, prompt in own.items()]
    written = write(
        model.language,
        model.tokenizer,
        tokens_RQH[[number for number, _, _ in rows]],
        [prompt for _, _, prompt in rows],
        max_tokens=_ANSWER_TOKENS,
        roles=[name for _, name, _ in rows],
    )
    drafts: list[dict[str, tuple[str, float]]] = [{} for _ in parsed_questions]
    for (number, name, _), text in zip(rows, written, strict=True):
        drafts[number][name] = model.tokenizer.decode(text.ids), _probability(text)
    return [Said(prompt, draft) for prompt, draft in zip(prompts, drafts, strict=True)]


def _prompts(model: RSMoE, written: Generation, parsed: ParsedQuestion) -> dict[str, str]:
    """What the router wrote; where it wrote to nobody, the question itself to those who can answer its kind."""
    experts = [name for name in ANSWERING[parsed.type] if name in model.tokenizer.experts] or model.tokenizer.experts[
        :1
    ]
    return model.tokenizer.split_parts(written.ids) or dict.fromkeys(experts, parsed.canonical)


def _probability(text: Generation) -> float:
    """Of the whole text, its end included."""
    return text.confidence ** (len(text.ids) + 1)


def unseen(parsed: ParsedQuestion, detectors: Detectors, metres: float | None) -> str | None:
    """Why a thing asked for cannot be seen at this ground sample distance; None where it can."""
    if metres is None:
        return None
    for thing in filter(None, (parsed.subject, parsed.compared_with)):
        too_coarse = metres >= _COARSEST.get(thing, float("inf"))
        if too_coarse or (detectors.knows(thing) and detectors.class_for(thing, metres) is None):
            return f"{article(thing)} {thing} cannot be told from its surroundings at {metres:.3g} m per pixel"
    return None


Looked = dict[tuple[int, str], tuple[Detection, ...]]
"""What was found in pictures, by the picture's identity and the cls."""


def find_things(request: Request, detectors: Detectors, looked: Looked) -> dict[str, tuple[Detection, ...]]:
    """The things asked for that the detector knows, by name, with all that was found of each.

    What was looked for in a picture before stands in `looked`, and what is new is added to it.
    """
    parsed = question_of(request)
    if parsed.type not in _SEEN_IN_DETAIL or parsed.attribute:
        return {}
    things = [thing for thing in (parsed.subject, parsed.compared_with) if thing]
    classes = {thing: detectors.class_for(thing, request.metres_per_pixel) for thing in things}
    found = {}
    for thing, cls in classes.items():
        if cls is not None:
            key = id(request.image), cls
            if key not in looked:
                looked[key] = detectors.find(request, cls)
            found[thing] = looked[key]
    return found


def settle_by_finding(request: Request, found: Mapping[str, tuple[Detection, ...]]) -> Answer | None:
    """The answer by what was found; None where not everything that is asked for was looked for."""
    parsed = question_of(request)
    things = [thing for thing in (parsed.subject, parsed.compared_with) if thing]
    if not found or not all(thing in found for thing in things):
        return None
    text, confidence = _by_finding(parsed, [found[thing] for thing in things], request)
    evidence = "; ".join(_told(found[thing], thing) for thing in things)
    counts = {thing: float(_sure(found[thing])) for thing in things}
    return Answer(text, confidence, evidence, MappingProxyType(counts), tuple(f for t in things for f in found[t]))


def settle_by_experts(request: Request, said: Said) -> Answer:
    """The answer by what the experts say."""
    parsed = question_of(request)
    text, confidence = _yes_or_no(said.yes()) if parsed.type in ("presence", "comparison") else said.best()
    if parsed.type == "count" and (value := answer_text.number(text)) is not None:
        text = f"{value:.0f}"
    if not re.search(_FITTING.get(parsed.type, ""), text):
        return Answer(UNKNOWN, confidence, f"the experts do not answer that: {said.evidence()}", prompts=said.prompts)
    counts = {parsed.subject: float(text)} if parsed.type == "count" and parsed.subject else {}
    return Answer(text, confidence, said.evidence(), MappingProxyType(counts), prompts=said.prompts)


def _yes_or_no(yes: float) -> tuple[str, float]:
    """By the probability of yes."""
    return ("yes", yes) if yes >= SURE else ("no", 1 - yes)


def _by_finding(parsed: ParsedQuestion, found: Sequence[tuple[Detection, ...]], request: Request) -> tuple[str, float]:
    confidences = [[f.confidence for f in own] for own in found]
    if parsed.type == "presence":
        return _yes_or_no(max(confidences[0], default=_NOTHING_FOUND))
    known = [count_distribution.poisson_binomial(own) for own in confidences]
    if parsed.type == "comparison":
        return _yes_or_no(
            count_distribution.equal(*known) if parsed.relation == "equal" else count_distribution.more(*known)
        )
    there = _sure(found[0])
    if parsed.type == "count":
        return str(there), min(float(known[0][there]), 1 - _NOTHING_FOUND)
    places = tuple((f.x, f.y, 0.0, 0.0) for f in found[0] if f.confidence >= SURE)
    if not places:
        return "nowhere", 1 - max(confidences[0], default=_NOTHING_FOUND)
    height, width = request.image.shape[:2]
    return where(Boxes(parsed.subject or "", places), width, height), max(confidences[0])


def _sure(found: Sequence[Detection]) -> int:
    """How many are more likely there than not."""
    return sum(f.confidence >= SURE for f in found)


def _told(found: Sequence[Detection], thing: str) -> str:
    """ "3 ships found, the surest at x 120, y 81 (0.97)"."""
    count = _sure(found)
    if not count:
        return f"no {thing} found"
    surest = max(found, key=lambda f: f.confidence)
    what = f"1 {thing}" if count == 1 else f"{count} {plural(thing)}"
    return f"{what} found, the surest at x {surest.x:.0f}, y {surest.y:.0f} ({surest.confidence:.2f})"
