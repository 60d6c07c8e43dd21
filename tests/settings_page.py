"""config.env.example and the table in docs/settings.md, from the declarations.

`python -m tests.settings_page` in a checkout writes both; a test compares them.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from picture_captioner.config import Settings, variable_of
from picture_captioner.declaration import Declared, declared
from picture_captioner.settings import KEYS

EXAMPLE = Path("config.env.example")
PAGE = Path("docs/settings.md")
HEAD = (
    "Copy to config.env and edit. A flag wins over the environment, the environment over this "
    "file. In the environment the names begin with CAPTION_ (CAPTION_MODEL=...), except "
    "PHOTOS_DIR, CAPTIONS_JSONL and the keys. A value that is ${NAME} and nothing else is read "
    "from the environment."
)
KEYS_HEAD = (
    "Keys, for the backends that need one. Never commit the file that holds them. Or "
    "${OPENAI_KEY_OF_MINE}, to name a variable of the environment."
)


def example() -> str:
    """The text of config.env.example."""
    blocks = [_comment(HEAD)]
    panel = None
    for one in declared(Settings).values():
        if one.flag.panel != panel:
            panel = one.flag.panel
            blocks.append("")
        unset = {"": "Empty", "0": "0"}.get(_value(one))
        default = f" {unset}: {one.flag.show_default}." if unset and one.flag.show_default else ""
        blocks.append(_comment((one.flag.comment or one.flag.help) + _bounds(one) + default))
        blocks.append(f"{one.name.upper()}={_value(one)}")
    blocks += ["", _comment(KEYS_HEAD)]
    for name, told in KEYS.items():
        blocks += [_comment(told)] if told else []
        blocks.append(f"{name}=")
    return "\n".join(blocks) + "\n"


def table() -> str:
    """Every setting as a row of Markdown."""
    rows = ["| config.env | flag | environment | default | |", "|---|---|---|---|---|"]
    for one in declared(Settings).values():
        flag = f"`--{one.name.replace('_', '-')}`" if one.flag.on else ""
        default = one.flag.show_default or f"`{_value(one)}`" * bool(_value(one))
        told = one.flag.help.replace("|", "\\|") + _bounds(one)
        name = one.name.upper()
        rows.append(f"| `{name}` | {flag} | `{variable_of(name)}` | {default} | {told} |")
    return "\n".join(rows) + "\n"


def _bounds(one: Declared) -> str:
    return f" {one.flag.bounds.capitalize()}." if one.flag.bounds else ""


def _value(one: Declared) -> str:
    if one.default is None:
        return ""
    if isinstance(one.default, bool):
        return str(one.default).lower()
    return f"{one.default:g}" if isinstance(one.default, float) else str(one.default)


def _comment(text: str) -> str:
    lines = (textwrap.wrap(part, 96, break_on_hyphens=False) for part in text.split("\n"))
    return "\n".join(f"# {line}" for part in lines for line in part)


def main() -> None:
    """Write both files in the checkout that is the working directory."""
    EXAMPLE.write_text(example(), encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    page = re.sub(r"\| config\.env \|.*\|\n", lambda _: table(), page, flags=re.DOTALL)
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
