"""Tells what is no caption by its form: a page, data, code, an address, a word, a label alone.

What has no form of its own, such as "Service Unavailable", is told by its words (`refusals.py`). A
caption of a screen that shows such a thing is a sentence, and none of these.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import json
import re

LOOKED_AT = 2_000
"""Characters in which a fault is looked for: a loop that begins later was a caption before."""

LABEL = "a label and nothing more"

_LONGEST_OPENING = 80

_PICTURE = r"(?:image|photo|photograph|picture|snapshot)"

_FORMS = {
    "a web page": r"<(?:!doctype|html|head|\?xml)\b.*",
    "markup": r"(?:</?[a-z][\w:.-]*(?: [^<>]*)?/?>[\W\d]*)+"
    r"|<([a-z][\w:.-]*)(?: [^<>]*)?>.*</\1>"
    r"|<(?:tool_call|tool_use|function_calls?|invoke|function=)\b.*",
    "data": r"[\[{(] ?[\"'{\[].*[\]})]|\{ ?[\"'\w]+ ?:.*|\[ ?\{.*|(?:data|event): ?[\[{].*"
    r"|``` ?\w* ?[\[{<].*",
    "an error": r"(?:error: ?)?(?:Traceback \(most recent|Exception in thread"
    r"|(?:[a-z]\w*\.)*[A-Z]\w*(?:Error|Exception) ?[:(]|(?:Fatal )?[Ee]rror: |panic: "
    r"|goroutine \d+ \[|thread '[^']*' panicked at|dial tcp |HTTP/\d\S* [45]\d\d).*",
    "code": r"(?:import \w[\w.]*(?: as \w+)?(?:;|$)|from [\w.]+ import |def \w+\(|class \w+[:(]"
    r"|function ?\w*\(|(?:const|let|var) \w+ ?=|#include ?[<\"]|print\(|console\.|#!/|\$ \w"
    r"|(?:function_call|tool_call|action)s? ?: ?\w).*|\w*[_.]\w[\w.]*\([^()]*\);?",
    "an address": r"!?\[[^\]]*\]\([^)\s]*\)|(?:https?|file|ftp|s3)://\S+|www\.\S+|data:\S+"
    r"|[\w./\\()-]{1,99}\.(?:jpe?g|png|gif|webp|hei[cf]|tiff?|bmp|dng|cr[23]|nef|arw|avif|jxl)",
    "a name or key": r"(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+/_=-]{32,}",
    "tags": r"(?:[#＃][\w-]+[ ,;]*)+|(?:[Hh]ash)?(?:[Tt]ags|[Kk]eywords) ?: ?[^.!?]*",
    "a number": r"[\W_]*\d[\W\d_]*"
    r"|(?:confidence|certainty|score|rating|probability|similarity|word count|length|time|tokens?)"
    r"(?: score| level)? ?[:=] ?[\W\d_]*\d[\W\d_]*(?:s|ms|words?|tokens?)?[\W]*",
    "a placeholder": r"[\[{<(]{1,2} ?(?:(?:insert|add|write|put|your|an?|the|image|photo|picture"
    r"|short|brief|one-sentence) ){0,4}(?:caption|description|alt text|text|title|image|photo"
    r"|picture|subject|placeholder)(?:(?: goes)? here| of the (?:image|photo|picture))?[ .]*"
    r"[\]})>]{1,2}"
    r"|(?:\[(?:PAD|UNK|MASK|CLS|SEP|EOS|BOS|IMG)\]|<0x[0-9A-F]{2}>|<unk> ?)+"
    r"|lorem ipsum(?: dolor\b.*|\W*)",
    "a word and no more": r"\W*(?:yes|no|true|false|sure|certainly|done|understood|string|safe"
    r"|unsafe(?: s\d+)?|[a-z])\W*",
}
_BY_FORM = {name: re.compile(form, re.DOTALL) for name, form in _FORMS.items()}
_ANY_CASE = {
    "a web page",
    "markup",
    "an address",
    "a number",
    "a placeholder",
    "a word and no more",
}
_BY_FORM |= {name: re.compile(_FORMS[name], re.DOTALL | re.IGNORECASE) for name in _ANY_CASE}

_NOTHING_MORE = re.compile(
    r"(?:here(?:'s|’s| is) (?:the|a|an|your|my) )?"
    rf"(?:(?:short|suggested|{_PICTURE}) ){{0,2}}"
    r"(?:caption|description|alt text)(?: (?:of|for) (?:the|this|your) \w+)? ?[:.…*]*"
    rf"|(?:this|the) {_PICTURE}(?: (?:shows|depicts|displays|features|captures|portrays|presents"
    r"|illustrates|is of|is showing|of))?(?: us| an?| the)? ?[:.…]*"
    rf"|in (?:this|the) {_PICTURE},?(?: (?:we|you) (?:can )?see| there (?:is|are))? ?[:.…]*"
    r"|(?:bildunterschrift|(?:bild)?beschreibung|légende|leyenda|descripción|didascalia"
    r"|descrizione|legenda|descrição|подпись|описание|图片描述|描述|说明|キャプション|説明)"
    r" ?[:：.…]*"
    r"|(?:auf )?(?:das|dem|dieses|diesem) (?:bild|foto)(?: zeigt| ist| sind)?[: .…]*"
    r"|(?:l['’]image|la photo|cette (?:image|photo)) (?:montre|représente)[: .…]*"
    r"|(?:la|esta) (?:imagen|foto) muestra[: .…]*|(?:l['’]immagine|la foto) mostra[: .…]*"
    r"|[ae] (?:imagem|foto) mostra[: .…]*|(?:这张)?(?:图片|照片|图像)(?:中|显示|展示)了?[：:。… ]*",
    re.IGNORECASE,
)


def form_of(text: str) -> str | None:
    """What the whole of an answer is in place of a caption; None for words about a photo."""
    said = text[:LOOKED_AT].strip()
    if len(said) < _LONGEST_OPENING and _NOTHING_MORE.fullmatch(said):
        return LABEL
    return next((name for name, form in _BY_FORM.items() if form.fullmatch(said)), None)


def may_be_wanted(form: str, text: str) -> bool:
    """Whether a person's own question may have asked for this: a number, a word, tags, an object.

    An object is none that holds an error, or nothing.
    """
    if form != "data":
        return form in {"tags", "a number", "a word and no more"}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if isinstance(value, dict):
        return not value.get("error") and any(value.values())
    return bool(value)
