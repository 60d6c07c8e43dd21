"""Tells whether a photo is blank, so that an answer that says so is a caption.

"The image is completely black." is what models say that were shown nothing, and the truth about a
photo from a pocket or behind a lens cap: only the pixels tell.
"""

# ruff: noqa: RUF001

from __future__ import annotations

import re
from typing import Any

from PIL.Image import Image, Resampling

_EDGE = 32
_ONE_COLOUR = 24
"""Between the least and the most of each channel, in cells of a 32nd: sensor noise, vignetting."""
_BLACK, _WHITE = 48, 224
"""The most of a photo that is black all over, but for a glow; the least of a white one."""

_BLANK = re.compile(
    r"\b(?:black|dark|white|gr[ae]y|blank|empty|uniform|solid|plain|nothing|no visible|no discern"
    r"|one colou?r|(?:single|same) colou?r|blue|red|green|yellow|brown|orange|pink|purple"
    r"|schwarz|dunkel|dunkl|finster|weiß|grau|leer|einfarbig|nichts|rot|blau|grün|gelb"
    r"|noir|sombre|obscur|blanc|gris|vide|uni|uniforme|rien|rouge|bleu|vert|jaune"
    r"|negr|oscur|blanc|vací|nada|roj|azul|verde|amarill"
    r"|ner[aoie]\b|scur|buio|bianc|grigi|vuot|niente|rosso|giall"
    r"|pret[ao]|escur|branc|cinza|vazi|vermelh"
    r"|zwart|donker|wit\b|leeg|grijs|czarn|ciemn|biał|pust|szar"
    r"|siyah|karanlık|beyaz|boş|gri\b|svart|mörk|vit\b|tom\b|musta|pimeä|valkoi|tyhjä"
    r"|sort\b|mørk|hvid|hvit|černá|tmav|bíl|prázdn|fekete|sötét|fehér|üres)"
    r"|ч[её]рн|т[её]мн|бел[ыао]|пуст|сер[ыао]|чорн|білий"
    r"|黑|暗|白|空白|灰|単色|单色|纯色|純色|真っ黒|검[은정]|어두|흰|회색|μαύρ|σκοτειν|שחור|أسود|काल|ดำ|đen",
    re.IGNORECASE,
)
_ASKS = re.compile(
    r"\b(?:please|upload\w*|attach\w*|provid\w*|re-?send|another|share|you|your|i|i'm|i’m|me"
    r"|bitte|ich|sie|lade|schicke?\w*|veuillez|je|j['’]|vous|merci|por favor|puedo|envíe?\w*|sube"
    r"|per favore|posso|carica\w*|consigo|envie|proszę|lütfen|graag)\b"
    r"|пожалуйста|загрузите|请|您|我|上传|提供|ください|アップロード|添付|주세요|업로드",
    re.IGNORECASE,
)


def tells_blank(text: str, image: Image | bool) -> bool:
    """Whether the words say of a photo that it is black, white or of one colour, and it is.

    `image` says itself whether it is, where the picture is not at hand any more.
    """
    if not _BLANK.search(text) or _ASKS.search(text):
        return False
    return image if isinstance(image, bool) else is_blank(image)


def is_blank(image: Image) -> bool:
    """Whether a picture is black, white or of one colour all over."""
    small = image.convert("RGB").resize((_EDGE, _EDGE), Resampling.BOX)
    extrema: Any = small.getextrema()  # of each channel
    spread = max(most - least for least, most in extrema)
    if spread <= _ONE_COLOUR or max(most for _, most in extrema) <= _BLACK:
        return True
    return bool(min(least for least, _ in extrema) >= _WHITE)
