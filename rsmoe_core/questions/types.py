"""What questions ask for: the registry of question types, and a parsed question. Free of torch.

    parser.parse_question("How many red vesels are in the picture?")
        ──▶  ParsedQuestion(type="count", subject="ship", attribute="red", canonical="how many red ships are there?")

Different wordings of one question give the same ParsedQuestion except for its `text`, so they get the same answer.

A question type is one entry of `QUESTION_TYPES`. How it is recognised, how it is put to the model, which experts answer
it and what an answer looks like all follow from that entry. Its training questions are in `rsmoe_core.data.qa`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from rsmoe_core.errors import UsageError
from rsmoe_core.questions.bounds import NONE
from rsmoe_core.words.grammar import plural
from rsmoe_core.words.replies import ANSWER, WHOLE_NUMBER, YES_OR_NO, ReplyForm

UNPARSED = "unknown"
"""The type of a question that no registered type fits."""
OPEN = "open"
"""The type of a question in words that only a model that follows instructions understands."""

# Building blocks of `QuestionType.patterns`. A lexed question is a line of tokens: "how many <0> can you see {in} <1>".
SUBJECT, COMPARED_WITH = r"<(?P<subject>\d+)>", r"<(?P<compared_with>\d+)>"
"""The object that is asked about, and the one that it is compared with."""
FILLER = "(?:is|can|do|you|see|have|picture|place)"
"""A token that does not change what is asked."""
_IN = r"\{(?:in|on)\}"
_MOVES = f"(?:{FILLER}|run|go)"
_ALL_OF = "(?:all )?(?:of )?"
START = "(?:if )?"
"""What may stand before a question: "whether there are ships"."""
END = rf"(?: {FILLER}| count)*"
"""What may stand after a question: "how many ships do you see". A place is no such thing: ships in the port are other
ships than those of the picture."""


@dataclass(frozen=True)
class QuestionType:
    """One type of question. A type without a wording only names questions of data sets, which no expert answers."""

    name: str
    """Lower-case letters and underscores."""
    wording: str = ""
    """The canonical wording, in which the model is asked. `{subject}`, `{subjects}` (its plural), `{others}` (plural of
    what it is compared with) and `{relation}` are filled in."""
    wordings_by_relation: Mapping[str, str] = field(default_factory=dict)
    """Relation → the canonical wording where it differs from `wording`."""
    experts: tuple[str, ...] = ()
    """The experts that can answer. The router learns to ask these and to skip the others. Empty for questions that the
    experts are not asked."""
    patterns: tuple[str, ...] = ()
    """Regular expressions that match all tokens of a question of this type. The groups `subject`, `compared_with` and
    `relation` become the fields of the ParsedQuestion. The first type with a matching pattern wins."""
    words: Mapping[str, str] = field(default_factory=dict)
    """Tokens that only this type's patterns need → other spellings of each, separated by commas."""
    synonyms: tuple[str, ...] = ()
    """Other names that data sets have for the type."""
    keywords: str = ""
    """Regular expression that finds questions of this type in data sets that do not give the type. The first type whose
    keywords are found wins; an empty one is never found."""
    answer_pattern: str = ""
    """Regular expression that has to be found in an answer. An expert that writes anything else did not understand the
    question."""
    yes_or_no: bool = False
    """Whether the answer is yes or no."""
    uses_detectors: bool = False
    """Whether detections of the objects asked about can answer it."""
    form: ReplyForm = ANSWER
    """The form of the answer, for models that follow instructions."""

    def reply_form(self) -> ReplyForm:
        """`form`, or yes or no where that is the answer."""
        return YES_OR_NO if self.yes_or_no else self.form


QUESTION_TYPES: dict[str, QuestionType] = {}
"""Every registered type by name, in the order in which patterns and keywords are tried."""


def register_question_type(question_type: QuestionType) -> None:
    """Add a type, to be tried after the others. It may give a wording to one that was only a name so far.

    Raises:
        UsageError: the name is taken.
    """
    known = QUESTION_TYPES.get(question_type.name)
    if question_type.name == UNPARSED or (known and known.wording):
        raise UsageError(f"the name '{question_type.name}' is taken; give the question type another one")
    QUESTION_TYPES[question_type.name] = question_type


@dataclass(frozen=True)
class ParsedQuestion:
    """What a question asks for."""

    text: str
    """The question as it was asked, on one line."""
    type: str
    """A name of `QUESTION_TYPES`, or `UNPARSED`."""
    canonical: str
    """The canonical wording, in which the model is asked; empty if unparsed."""
    subject: str | None = None
    """The object asked about: a name of `rsmoe_core.words.lexicon`, singular. In a comparison the one that may be
    more."""
    compared_with: str | None = None
    """The second object of a comparison."""
    relation: str | None = None
    """`more` or `equal` in a comparison, in a threshold a bound such as `at least 6` (see `bounds`), in a relation one
    of the names in `lexicon.RELATIONS`."""
    attribute: str | None = None
    """An adjective of `lexicon.ATTRIBUTES` before the subject. None in a comparison."""
    reason: str = ""
    """Of an unparsed question: one line that says why it cannot be answered, and what could be asked instead."""
    beyond_images: bool = False
    """Of an unparsed question: whether no image shows the answer to any model, such as a name or a date."""

    def opened(self) -> ParsedQuestion:
        """The question as it is put to a model that follows instructions: one that is not parsed in its own words."""
        if self.type != UNPARSED or self.beyond_images:
            return self
        return ParsedQuestion(self.text, OPEN, self.text)


def canonical_question(
    type: str,
    subject: str | None = None,
    compared_with: str | None = None,
    relation: str | None = None,
    attribute: str | None = None,
) -> str:
    """The canonical wording of a question; the parts are those of a ParsedQuestion.

    >>> canonical_question("count", "car", attribute="red")
    'how many red cars are there?'
    """
    asked = QUESTION_TYPES[type]
    wording = asked.wordings_by_relation.get(relation or "", asked.wording)
    described = " ".join(filter(None, (attribute, subject)))
    return wording.format(
        subject=described, subjects=plural(described), others=plural(compared_with or ""), relation=relation
    )


def answering_experts(type: str) -> tuple[str, ...]:
    """The experts that can answer questions of a type; none for types that are not registered."""
    return QUESTION_TYPES[type].experts if type in QUESTION_TYPES else ()


def question_type(text: object, given: object = None) -> str:
    """The type of a data set's question: by the name that the data set gives, else by its keywords, else `other`.

    A given name that is neither a type nor a synonym of one is kept.
    """
    if given is not None and (name := str(given).strip().lower()):
        known = (type.name for type in QUESTION_TYPES.values() if name in (type.name, *type.synonyms))
        return next(known, "_".join(name.split()))
    wording = str(text).strip().lower()
    found = (type.name for type in QUESTION_TYPES.values() if type.keywords and re.search(type.keywords, wording))
    return next(found, "other")


_NUMBER = "(?:total )?number of "
_NUMBER_OF = f"(?:{_NUMBER})?"
_DISTRICT = "(?:rural|urban)(?: place)?"
_MORE = "(?P<relation>more|fewer)"
_AS_MANY = "(?P<relation>as many)"
# Words that are about sizes or likeness, not about numbers, unless that is said: "is the lake larger than the pond".
_GREATER = "(?P<relation>more|fewer|greater|lesser)"
_EQUAL = "(?P<relation>equal|same)"

for _type in (
    QuestionType(
        name="rural_urban",
        wording="is this a rural or an urban area?",
        experts=("theme",),
        patterns=(
            # "which city is this" asks for a name, so "what" needs both
            rf"(?:if )?(?:what )?(?:{FILLER} )*(?:of )?{_DISTRICT} or (?:is )?{_DISTRICT}(?: {FILLER})*",
            rf"(?:if )?(?:{FILLER} )*(?:of )?{_DISTRICT}(?: {FILLER})*",
        ),
        words={"rural": "countryside, village", "urban": "city, town"},
        synonyms=("rural or urban",),
        keywords=r"\brural\b.*\burban\b|\burban\b.*\brural\b",
        answer_pattern=r"^(rural|urban)$",
    ),
    QuestionType(
        name="comparison",
        wording="are there {relation} {subjects} than {others}?",
        wordings_by_relation={"equal": "are there as many {subjects} as {others}?"},
        experts=("objects",),
        patterns=(
            rf"{START}(?:{FILLER} )*{_MORE} {SUBJECT} than {COMPARED_WITH}{END}",
            rf"{START}(?:{FILLER} )*{_GREATER} {_NUMBER}{SUBJECT} than {_NUMBER_OF}{COMPARED_WITH}{END}",
            rf"{START}is {SUBJECT} {_MORE} than {COMPARED_WITH}{END}",
            rf"{START}is {_NUMBER}{SUBJECT} {_GREATER} than {_NUMBER_OF}{COMPARED_WITH}{END}",
            rf"{START}do {SUBJECT} (?P<relation>outnumber) {COMPARED_WITH}{END}",
            rf"{START}(?:{FILLER} )*{_AS_MANY} {SUBJECT} as {COMPARED_WITH}{END}",
            rf"{START}is {SUBJECT} {_AS_MANY} as {COMPARED_WITH}{END}",
            rf"{START}(?:{FILLER} )*{_EQUAL} {_NUMBER}{SUBJECT} (?:as|and) {_NUMBER_OF}{COMPARED_WITH}{END}",
            rf"{START}is {_NUMBER}{SUBJECT} (?:as )?{_EQUAL} (?:to|as) {_NUMBER_OF}{COMPARED_WITH}{END}",
            rf"{START}is {_NUMBER}{SUBJECT} and {_NUMBER_OF}{COMPARED_WITH} {_EQUAL}(?: {_IN} number)?",
            rf"{START}is {SUBJECT} and {COMPARED_WITH} {_EQUAL} {_IN} number",
        ),
        words={
            "equal": "identical",
            "fewer": "less",
            "greater": "higher, larger, bigger",
            "lesser": "smaller, lower",
            "more": "",
            "outnumber": "",
            "same": "",
            "than": "compared to, compared with",
        },
        synonyms=("comp", "area_comp"),
        keywords=r"\b(more|less|fewer|larger|smaller|equal)\b.*\b(than|to)\b",
        yes_or_no=True,
        uses_detectors=True,
    ),
    QuestionType(
        name="count",
        wording="how many {subjects} are there?",
        experts=("objects",),
        patterns=(
            rf"{START}(?:what )?(?:is )?(?:count )?(?:total )?(?:how many|number|count)(?: number)?(?: of)? "
            rf"{_ALL_OF}{SUBJECT}{END}",
            rf"{START}(?:what is )?(?:total )?{SUBJECT} (?:count|number){END}",
            rf"{START}(?:{FILLER} )*{SUBJECT}{END} (?:and )?(?:if )?how many(?: <(?P=subject)>)?{END}",
        ),
        words={"all": "whole, entire", "total": ""},
        synonyms=("quantity", "object quantity"),
        keywords=r"\bhow many\b|\bnumber of\b",
        answer_pattern=r"^\d+$",
        uses_detectors=True,
        form=WHOLE_NUMBER,
    ),
    QuestionType(
        name="theme",
        wording="what kind of place is this?",
        experts=("theme",),
        patterns=(
            r"(?:what )?(?:is )?(?:main )?(?:picture |place )?(?:theme|kind)(?: kind| of (?:place|theme|picture|land))*"
            rf"(?: {FILLER})*",
            rf"what is place|what place(?: {FILLER})+|classify (?:picture|place)",
        ),
        words={"land": "", "main": ""},
        synonyms=("scene", "scene type"),
        keywords=r"\btheme\b|\bkind of (place|scene)\b",
    ),
    QuestionType(
        name="location",
        wording="where is the {subject}?",
        experts=("relations",),
        patterns=(
            rf"{START}where (?:{FILLER} )*{_ALL_OF}{SUBJECT}{END}(?: run)?",
            rf"{START}(?:what is )?(?:location of|locate) {_ALL_OF}{SUBJECT}{END}",
            rf"(?:what is )?{SUBJECT} location",
            rf"(?:{_IN} )?what (?:part|place|location) (?:{FILLER} )*{SUBJECT}(?: {_IN})?{END}",
        ),
        synonyms=("ab_position", "object position"),
        keywords=r"\blocation\b|\bposition\b|^where\b",
        answer_pattern=(
            r"\b(left|right|top|up|upper|bottom|lower|cent(er|re)|middle|corners?|diagonal|everywhere|see)\b"
        ),
        uses_detectors=True,
    ),
    QuestionType(
        name="color",
        wording="what color is the {subject}?",
        experts=("objects",),
        patterns=(
            rf"{START}(?:what )?(?:is )?color (?:of |is |do )*{SUBJECT}{END}",
            rf"(?:what is )?{SUBJECT} color",
        ),
        words={"color": "colour, colors, colours"},
        synonyms=("object color",),
        keywords=r"\bcolou?r\b",
        answer_pattern=r"^(green|white|yellow|red|blue|gr[ae]y|brown|black|dark|light)\b",
    ),
    QuestionType(
        name="relation",
        wording="what is {relation} the {subject}?",
        experts=("relations",),
        patterns=(
            rf"(?:describe )?what (?:thing )?(?:{_MOVES} )*\{{(?P<relation>[^}}]+)\}} {SUBJECT}{END}",
            rf"what (?:thing )?is {SUBJECT} \{{(?P<relation>near|next to|beside)\}}",
            rf"what (?:thing )?is {SUBJECT} \{{surrounded by\}}",  # that is, what is around it
        ),
        synonyms=("re_position",),
    ),
    QuestionType(
        name="description",
        wording="describe the picture",
        patterns=(
            rf"(?:have )?describe(?: {FILLER}| of| what| thing| about| all)*",
            rf"what(?: {FILLER}| thing| of)+(?: about)?|about (?:picture|place)",
        ),
    ),
    QuestionType(
        name="threshold",
        wording="are there {relation} {subjects}?",
        wordings_by_relation={NONE: "is there no {subject}?"},
        patterns=(
            rf"{START}(?:{FILLER} )*\[(?P<relation>[^\]]+)\] {SUBJECT}{END}",
            rf"{START}is {_NUMBER}{SUBJECT} \[(?P<relation>at [^\]]+)\]",
        ),
        yes_or_no=True,
        uses_detectors=True,
    ),
    QuestionType(name=OPEN),
    QuestionType(name="area", keywords=r"\barea (of|covered)\b|\bhow large\b"),
    QuestionType(name="orientation", synonyms=("road_ori", "object direction")),
    QuestionType(name="category", synonyms=("object category",)),
    QuestionType(name="shape", synonyms=("object shape",)),
    QuestionType(name="size", synonyms=("object size",)),
    QuestionType(
        name="presence",
        wording="is there any {subject}?",
        experts=("theme", "objects"),
        patterns=(rf"{START}(?:{FILLER} )*(?:presence )?(?:of )?{SUBJECT}{END}",),
        synonyms=("object existence", "existence"),
        keywords=r"^(is|are|does|do|has|have|can)\b",
        yes_or_no=True,
        uses_detectors=True,
    ),
):
    register_question_type(_type)
