"""Which paths are taken: `--include` and `--exclude`, and folders that nobody took pictures into.

All are patterns, translated to regular expressions once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from picture_captioner.errors import UsageError


class PathFilter:
    """`--include` and `--exclude`: a path is taken if an include matches and no exclude does.

    Patterns read like lines of a .gitignore: `*` and `?` stop at `/`, `[a-z]` and `[!a-z]` are
    one character, `**` is any number of folders, a backslash takes the next character literally.
    A pattern without a slash matches at any depth (`*.heic`), one with a slash from the top
    (`2023/**`); a slash at the end means folders. What matches a folder takes all below it. Letter
    case counts; NFC and NFD spellings match each other, since nobody can see which one was typed.

    Written here because pathspec's patterns stop at a newline in a name, and its `!` (put back
    what an earlier line took) would be a second way to say `--include`.
    """

    def __init__(
        self, include: Sequence[str] = (), exclude: Sequence[str] = (), below: str = ""
    ) -> None:
        """Take nothing but what is `below` a folder, or that one photo, if either is named.

        Raises:
            UsageError: a pattern cannot be read.
        """
        self._below = below
        self._include = _compile(include, "--include") if include else None
        self._exclude = _compile(exclude, "--exclude") if exclude else None

    @property
    def is_empty(self) -> bool:
        """Whether it lets everything pass."""
        return self._include is None and self._exclude is None and not self._below

    def takes_file(self, rel_path: str) -> bool:
        """Whether the file passes."""
        if self._below and not f"{rel_path}/".startswith(f"{self._below}/"):
            return False
        path = one_spelling(rel_path)
        if self._exclude is not None and self._exclude.fullmatch(path):
            return False
        return self._include is None or self._include.fullmatch(path) is not None

    def enters(self, rel_dir: str) -> bool:
        """Whether anything below the folder can pass."""
        inside = f"{rel_dir}/".startswith(f"{self._below}/")
        if self._below and not inside and not self._below.startswith(f"{rel_dir}/"):
            return False
        return self._exclude is None or not self._exclude.fullmatch(one_spelling(rel_dir) + "/")


def one_spelling(text: str) -> str:
    """A name in NFC: a Mac's disk says e and accent apart, a tagger on Linux together."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _compile(patterns: Sequence[str], flag: str) -> re.Pattern[str]:
    regexes = []
    for pattern in patterns:
        below = "/.*" if pattern.endswith(("/", "/**")) else "(?:/.*)?"
        try:
            regex = glob_regex(one_spelling(pattern)) + below
            re.compile(regex)
        except (ValueError, re.error) as error:
            raise UsageError(f"{flag} {pattern!r}: {error}") from error
        regexes.append(regex)
    return re.compile("|".join(regexes), re.DOTALL)


def glob_regex(pattern: str) -> str:
    """The regular expression for the path that a pattern names; `PathFilter` has the rules."""
    components = pattern.strip("/").removesuffix("/**").split("/")
    if pattern.startswith("!"):
        raise ValueError("there is no '!': use --include and --exclude")
    if not {"", ".", ".."}.isdisjoint(components):
        raise ValueError("write it relative to the photos directory, without '.', '..' or '//'")
    anchored = "/" in pattern.rstrip("/")
    regex = "" if anchored else "(?:.*/)?"
    for component in components[:-1]:
        regex += "(?:.*/)?" if component == "**" else _component_regex(component) + "/"
    return regex + (".*" if components[-1] == "**" else _component_regex(components[-1]))


_GLOB_TOKEN = re.compile(r"\\(.)|\[([!^]?)(\]?[^\]]*)\]|(\*+|.)", re.DOTALL)


def _component_regex(component: str) -> str:
    return "".join(map(_token_regex, _GLOB_TOKEN.finditer(component)))


def _token_regex(token: re.Match[str]) -> str:
    escaped, negated, members, plain = token.groups()
    if escaped is not None:
        return re.escape(escaped)
    if members is not None:
        literal = re.sub(r"[\\\[\]^&~|]", r"\\\g<0>", members)
        return f"(?!/)[{'^' if negated else ''}{literal}]"
    if plain in ("[", "\\"):
        raise ValueError(f"'{plain}' opens something that is not closed")
    return {"*": "[^/]*", "?": "[^/]"}.get(plain[0]) or re.escape(plain)


SKIPPED_FOLDERS: tuple[tuple[str, str], ...] = (
    ("@eaDir", "Synology: thumbnails of every photo"),
    ("@Recycle", "QNAP: deleted files"),
    ("#recycle", "Synology: deleted files"),
    ("#snapshot", "Synology: the whole share again, once per snapshot"),
    ("@__thumb", "QNAP: thumbnails of every photo"),
    ("@Recently-Snapshot", "QNAP: the whole share again, once per snapshot"),
    ("~snapshot", "NetApp: the same"),
    ("appdata_*/preview", "Nextcloud: previews of every photo"),
    ("files_trashbin", "Nextcloud: deleted files"),
    ("files_versions", "Nextcloud: earlier versions of files"),
    ("storage/cache/thumbnails", "PhotoPrism: thumbnails"),
    ("$RECYCLE.BIN", "Windows: deleted files"),
    ("System Volume Information", "Windows: restore points"),
    ("lost+found", "fsck: fragments without a name"),
    ("__MACOSX", "zip files made on a Mac: AppleDouble halves that end in .jpg"),
    ("Thumbs", "gallery programs: thumbnails"),
    ("*.clean-images", "this program: clean images (--keep-clean)"),
    ("*.lrdata", "Lightroom: previews"),
    ("iPod Photo Cache", "iTunes: smaller copies"),
    ("*.*library/resources/derivatives", "Apple Photos: smaller copies of the originals"),
    ("*.*library/resources/proxies/derivatives", "Apple Photos and Aperture: the same"),
    ("*.*library/scopes/*/resources/derivatives", "Apple Photos, shared library: the same"),
    ("*.*library/resources/media/face", "Apple Photos: faces cut out"),
    ("*.*library/Thumbnails", "Aperture: thumbnails"),
    ("*.*library/Previews", "Aperture: smaller copies of the originals"),
)
"""Folders with pictures nobody took, as patterns in any case; hidden names are skipped besides
(`.thumbnails`, `.Trash-1000`, AppleDouble's `._IMG_1.jpg`)."""

_SKIPPED = re.compile(
    "|".join(glob_regex(f"**/{pattern}") + "/" for pattern, _ in SKIPPED_FOLDERS),
    re.DOTALL | re.IGNORECASE,
)


def is_skipped(folder: str) -> bool:
    """Whether a folder is one of them, by its name and those of the folders that it is in."""
    return _SKIPPED.fullmatch(f"{folder}/") is not None
