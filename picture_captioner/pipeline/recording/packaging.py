"""Takes off what models wrap a caption in, so that the caption alone is stored.

Some of it is no caption whoever asked (a fence, a role's name, the mark of a template, JSON); a
list of captions, tags behind one or its number of words may be what a person's own question wants.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import html
import re

from picture_captioner.backends.fields import find_object
from picture_captioner.pipeline.recording.forms import LABEL, LOOKED_AT, form_of

_WRAPPED = 8
"""Wrappings around one another that are taken off."""

_PICTURE = r"(?:image|photo|photograph|picture|snapshot)"
_SHOWS = r"(?:shows|depicts|displays|features|captures|portrays|presents|illustrates)"
_OPENING = re.compile(
    rf"^(?:(?:this|the) {_PICTURE} (?:{_SHOWS}|is showing)|in (?:this|the) {_PICTURE},)"
    r"(?: us)?:? +(?=\S)(?!(?:that|how|why|whether|if|up|off|in|on|at|itself|well|badly|poorly"
    r"|prominently)\b)"
    rf"|^(?:this|the) {_PICTURE} is of +(?!(?:\w+ ){{0,3}}(?:quality|resolution|size|value|interest"
    r"|importance|significance|kind|type|sort|format|nature|origin|beauty|age|standard)\b)(?=\S)",
    re.IGNORECASE,
)
"""What follows it must be a caption by itself: "of poor quality and shows a man" is none."""
_FENCE = re.compile(
    r"^```(?:json|text|txt|plaintext|markdown|md|yaml|xml|html)? ?(.*?) ?```$", re.IGNORECASE
)
_LABEL = re.compile(
    r"^(?:[*_#>-]{1,6} ?)?([\"']?)"
    r"(?:(?:image|photo|picture|short|suggested|final|generated|ai) ){0,2}"
    r"(?:caption|description|answer|assistant|bot|response|output|alt[ -]text"
    r"|(?:option|caption) ?1|bildunterschrift|bildbeschreibung|beschreibung|légende"
    r"|leyenda|descripción|pie de foto|didascalia|descrizione|legenda|descrição|подпись|описание"
    r"|图片描述|图片说明|描述|说明|标题|キャプション|説明)\1(?:[*_]{1,3})? ?[:：=]"
    r" ?(?:[*_]{1,3}(?= |$|[\"“]))? ?",
    re.IGNORECASE,
)
_ANNOUNCED = re.compile(
    r"^(?:(?:sure|certainly|of course|okay|ok)[,!.]{0,3} ?)?(?:here(?:'s|’s| is)|below is)"
    r" [^:.!?]{0,60}(?:caption|description|sentence|answer)[^:.!?]{0,60}: ?(?=\S)"
    r"|^(?:sure(?: thing)?|certainly|of course|absolutely)! (?:here (?:you go|it is)[:!.] )?"
    r"(?=\S)(?-i:(?![a-z]))"
    r"|^(?:the )?(?:final )?answer is: (?=\S)"
    r"|^(?:hier (?:ist|sind|kommt)|voici|aquí (?:está|tienes|tiene)|ecco|aqui está|segue|вот"
    r"|以下(?:是|は|が))[^:：.!?]{0,40}(?:bildunterschrift|beschreibung|légende|description|leyenda"
    r"|descripción|didascalia|descrizione|legenda|descrição|подпись|описание|描述|说明|キャプション|説明)"
    r"[^:：.!?]{0,20} ?[:：] ?(?=\S)",
    re.IGNORECASE,
)
_HEADING = re.compile(
    r"^#{1,6} (?:(?:image|photo) )?(?:caption|description|bildunterschrift|beschreibung|légende"
    r"|leyenda|didascalia|legenda)\b[*_]{0,2} (?=\S)",
    re.IGNORECASE,
)
_TAGGED = re.compile(
    r"^<(caption|description|answer|output|result|response|xml|p|div|span|b|i|em|strong"
    r"|figcaption|h[1-6])"
    r"(?: [^<>]*)?> ?(.*\S) ?</\1>$",
    re.IGNORECASE,
)
_NEXT_SPEAKER = re.compile(
    r"(?<=[.!?\"”]) ?(?:#{2,3} ?)?(?:ASSISTANT|USER|Human|SYSTEM) ?:.*$"
    r"|(?<=[.!?\"”])[^\S\n]*\n\s*(?i:assistant|user|human|system) ?[:\n].*$",
    re.DOTALL,
)
"""A model that was not stopped plays the next turn of the talk."""
_BEFORE_IT = re.compile(
    r"\A\s*(?:(?:system|user)\s*\n.*?\n)?\s*(?:assistant|model)\s*\n(?=\s*\S)"
    r"|\A\s*(?:SYSTEM|USER|Human) ?:.*?\n?\s*(?:ASSISTANT|Assistant) ?:(?=\s*\S)",
    re.DOTALL,
)
"""The whole talk, where a server gives it back with the answer, or names the speaker."""
_SIGNS = re.compile(r"[&\\<【\[▁Ġ]")
_ENTITY = re.compile(r"&(?:amp|quot|apos|lt|gt|nbsp|#\d{2,5}|#x[0-9a-fA-F]{2,5});")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_SCRAPS = re.compile(
    r"<box>[^<>]*</box>|</?(?:ref|box|quad)>|<loc_?\d{1,5}>"
    r"|【[^】]{0,20}†[^】]{0,40}】|(?<=[.!?])\[\d{1,2}\](?= |$)"
    r"|(?<=[.!?\"”]) ?<br ?/?>|</(?:p|div)> ?<(?:p|div)>|(?<=[.!?])(?:\\[nr])+(?-i:(?![a-z]))"
    r"|^<(?:image|img|caption|answer|response|(?:more_)?detailed_caption)> ?(?=(?-i:[A-Z\"“]))"
    r"|(?<=[.!?\"”]) ?</(?:caption|answer|response|description|output|p|div)>$",
    re.IGNORECASE,
)
"""What a caption loses nothing by: marks of places in the picture, of sources, and half a tag."""
_PIECES = re.compile(r"(?<=[a-z.,;:])[▁Ġ](?=\S)|(?:^|(?<= ))[▁Ġ](?=\S)|▁")
"""How tokenizers write a space, where a server does not turn tokens into text."""
_MATHS = re.compile(
    r"^\$?\\(?:boxed|text|textbf|mathrm|mbox) ?\{(.+?)\}\$?\.?$|^\$([^$\d][^$]*)\$$"
)
_SURE = re.compile(
    r"(?<=[.!?\"”]) ?[(\[]?\*{0,2}(?:confidence|certainty)(?: score| level)?\*{0,2} ?[:=]\*{0,2} ?"
    r"(?:\d[\d.,]* ?%?|(?:very )?(?:high|medium|low))[)\]]?\.?$"
    r"|(?<=[.!?\"”]) ?[(\[](?:word count ?: ?\d+|\d+ (?:words|characters|tokens))[)\]]\.?$",
    re.IGNORECASE,
)
_ENDS_OF_SURE = frozenset(")]%")
_MARKED = re.compile(
    r"^(?:[>*•] |- |#{1,6} |(?:1[.)]|(?:image|photo|picture|scene|alt)(?: 1)?:)"
    r" (?=(?:An?|The|Two|Three|Several|People|Eine?|Une?)\b))(?=[^\s\d])"
    r"|^(\*\*|__)(?=\S)(?=.{1,60}\1)",
    re.IGNORECASE,
)
_FIRST_OF_SOME = re.compile(
    r"^(?:\*\*)?(?:(?:option|caption|version|alternative|variante) ?)?1[.):](?:\*\*)?"
    r" ?(.{8,}?[.!?\"”]) (?:\*\*)?(?:(?:option|caption|version|alternative|variante) ?)?2[.):].*$"
    r"|^[\"“]([^\"“”]{8,}[.!?])[\"”](?: or [\"“][^\"“”]+[\"”])+\.?$",
    re.IGNORECASE,
)
_AND_MORE = re.compile(
    r"(?<=[.!?\"”]) (?:[*_]{2})?(?:alt[ -]text|(?:hash)?tags|keywords"
    r"|caption 2|option 2)(?:[*_]{2})? ?:.*$",
    re.IGNORECASE,
)
_SEEN = re.compile(
    r"^(?:I|We|You)(?: can)? see "
    r"(?=(?:an?|the|one|two|three|four|five|some|several|many) \S|people\b)"
    r"(?!.* and (?:I|we|you) )"
)
_LANGUAGE = (
    r"(?:German|Deutsch|French|Français|Spanish|Español|Italian|Italiano|Portuguese|Português|Dutch"
    r"|Nederlands|Polish|Polski|Russian|Русский|Ukrainian|Turkish|Türkçe|Chinese|中文|Japanese|日本語"
    r"|Korean|한국어|Arabic|العربية|Hindi|हिन्दी|Vietnamese|Indonesian|Thai|Greek|Hebrew|Swedish|Czech)"
)
_IN_ENGLISH = re.compile(
    r"^[*_]{0,2}English[*_]{0,2} ?:[*_]{0,2} (.{8,}?[.!?\"”])"
    rf"(?: [*_]{{0,2}}{_LANGUAGE}[*_]{{0,2}} ?[:：].*)?$"
)
"""Our own question is English; a translation behind it was not asked for. `Title: ...` is none."""
_TITLED = re.compile(
    r"^(?:[*_]{2})?title(?:[*_]{2})? ?:(?:[*_]{2})? .{1,100}? (?:[*_]{2})?(?:caption|description)"
    r"(?:[*_]{2})? ?:(?:[*_]{2})? ?(?=\S)",
    re.IGNORECASE,
)
_MOST_TIMES = 3
_FEWEST_WORDS = 3
_OFFER = re.compile(
    r"(?<=[.!?\"”]) (?:Please )?(?:Let me know if|Would you like (?:me )?|Feel free to ask"
    r"|I hope this|Do you want me)\b(?![^.!?]* (?:written|painted|printed|reads|says))"
    r"[^.!?]{0,120}[.!?]?$"
)
_LONE = frozenset("‘'")
"""These are apostrophes, too, so they only wrap what ends as a sentence does."""
_BRACKETED = re.compile(r"\[([^\[\]]*[.!?])\]|\(([^()]*[.!?])\)")
_OTHER_QUOTES = frozenset("“”„«»")
_UNSEEN = "\u200b\u2060\ufeff "
_PAIRS = {
    '"': '"',
    "‘": "’",
    "'": "'",
    "*": "*",
    "_": "_",
    "“": "”",
    "„": "“",
    "«": "»",
    "「": "」",
    "`": "`",
    "**": "**",
    "__": "__",
}
_NAMES = ("caption", "description", "text", "answer", "response", "content")
_NAMED = re.compile(
    r"caption|descri(?!bed)|beschreib|unterschrift|l[ée]gende|leyenda|didascalia|legenda|подпись"
    r"|описание|描述|说明|キャプション|説明|alt_?text|^(?:alt|text|answer|response|content|output|result"
    r"|summary|title)$"
)
_DEEPEST = 3
_FIRST_LISTED = re.compile(r"^[\[(] ?([\"'])([^\"]+?)\1 ?(?:,.*)?[\])]$")
_UNCLOSED = re.compile(rf'^\{{ ?"(?:{"|".join(_NAMES)})" ?: ?"([^"\\]*[.!?])" ?$', re.IGNORECASE)
"""A last brace is missing, and the sentence is whole."""


def unpacked(text: str, *, alone: bool = False, english: bool = True) -> str:
    """The caption on one line, without fence, label, quotation marks, JSON and common opening.

    Args:
        alone: whether one caption was asked for and nothing beside it, as by our own question.
        english: whether that was to be in the question's language, and no other.
    """
    if "\n" in text or ":" in text:
        if len(text) <= LOOKED_AT:
            text = _BEFORE_IT.sub("", text, count=1)
        text = _NEXT_SPEAKER.sub("", text)
    text = " ".join(text.split()).strip(_UNSEEN)
    text = _OFFER.sub("", text)
    for _ in range(_WRAPPED):
        inner = _inner(text)
        if len(inner) <= LOOKED_AT:
            inner = _tidy(inner, alone=alone, english=english)
        if inner == text:
            break
        text = inner
    return _said_once(text) if alone and len(text) <= LOOKED_AT else text


def _tidy(text: str, *, alone: bool, english: bool) -> str:
    """The text without what stands beside its words; what would leave nothing stays."""
    said = text
    if _SIGNS.search(said):  # few captions have one, and what follows looks at each letter
        said = _ENTITY.sub(lambda found: html.unescape(found[0]), said)
        said = _ESCAPED.sub(_character, said)
        if len(_PIECES.findall(said)) > 1:
            said = _PIECES.sub(" ", said)
        said = _SCRAPS.sub(lambda found: "" if found[0][0] in "【[" else " ", said)
    if boxed := _MATHS.match(said):
        said = boxed[1] or boxed[2]
    said = _half_quoted(said)
    if bracketed := _BRACKETED.fullmatch(said):
        said = bracketed[1] or bracketed[2]
    if alone:
        said = _only_one(said, english=english)
    return " ".join(said.split()) or text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return found[0] if 0xD800 <= code < 0xE000 else chr(code)


def _half_quoted(text: str) -> str:
    """The text without a quotation mark that has no other."""
    if text.count('"') != 1 or not _OTHER_QUOTES.isdisjoint(text):
        return text
    if text.startswith('"'):
        return text[1:]
    return text[:-1] if text[-2:-1] in {".", "!", "?"} and text.endswith('"') else text


def _only_one(text: str, *, english: bool) -> str:
    """The first caption of several, without marks of a list, and what stands behind it."""
    if first := _FIRST_OF_SOME.match(text):
        text = first[1] or first[2]
    if text[-1:] in _ENDS_OF_SURE or ":" in text:
        text = _SURE.sub("", text)
    if ":" in text:
        text = _AND_MORE.sub("", _TITLED.sub("", text))
    if english and (half := _IN_ENGLISH.match(text)):
        text = half[1]
    if seen := _SEEN.match(text):
        text = text[seen.end()].upper() + text[seen.end() + 1 :]
    if (marked := _MARKED.match(text)) is not None and " * " not in text[1:]:
        text = text[marked.end() :]
        if marked[1]:
            text = text.replace(marked[1], "", 1)
    return text


def _said_once(text: str) -> str:
    """The caption that was given two or three times in a row; more often is a loop."""
    words = text.split()
    for length in range(1, len(words) // 2 + 1):
        times, rest = divmod(len(words), length)
        if not rest and words[:length] * times == words:
            told = length >= _FEWEST_WORDS and times <= _MOST_TIMES
            return " ".join(words[:length]) if told else text
    return text


def _inner(text: str) -> str:
    """The text with one wrapping less; what would leave nothing stays."""
    for pattern in (_ANNOUNCED, _HEADING, _LABEL):
        if rest := pattern.sub("", text, count=1).strip():
            text = rest
    if fence := _FENCE.match(text):
        text = fence[1] or text
    if tagged := _TAGGED.match(text):
        text = tagged[2]
    for left, right in _PAIRS.items():
        if text.startswith(left) and text.endswith(right):
            inner = text[len(left) : -len(right)].strip()
            if inner and left not in inner and (left not in _LONE or inner[-1] in ".!?"):
                text = inner
    return _without_opening(_from_json(text))


def _from_json(text: str) -> str:
    """The caption in an object that nobody asked for, also where its JSON is nearly right."""
    if text[:1] not in {"{", "[", "("} or len(text) > LOOKED_AT:
        return text
    if listed := _FIRST_LISTED.match(text):
        return listed[2].strip() or text
    said = _said_in(find_object(text), _DEEPEST)
    if said is None and (unclosed := _UNCLOSED.match(text)):
        said = unclosed[1]
    return " ".join(said.split()) or text if said else text


def _said_in(value: object, depth: int) -> str | None:
    """The first text under a name for captions, in an object or one in it; none in a schema."""
    if isinstance(value, list):
        value = next(iter(value), None)
    if isinstance(value, str):
        return value if value.strip() else None
    if not isinstance(value, dict) or not depth or value.get("error") or "properties" in value:
        return None
    named = sorted((n for n in value if _NAMED.search(str(n).lower())), key=_rank)
    nested = (n for n in value if n not in named and isinstance(value[n], dict | list))
    for name in (*named, *(n for n in nested if _objects(value[n]))):
        if (said := _said_in(value[name], depth - 1)) is not None:
            return said
    return None


def _rank(name: str) -> int:
    return _NAMES.index(name) if name in _NAMES else len(_NAMES)


def _objects(value: object) -> bool:
    """Whether an object is in there, and no list of words."""
    return isinstance(value[0] if isinstance(value, list) and value else value, dict)


def _without_opening(text: str) -> str:
    """The caption without the phrase that every caption of some models begins with."""
    rest = _OPENING.sub("", text, count=1)
    if rest == text or not rest or form_of(text) == LABEL:
        return text
    return rest[:1].upper() + rest[1:]
