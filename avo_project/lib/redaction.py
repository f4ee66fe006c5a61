"""Redaction of credentials, mail addresses and unsubscribe tokens from texts for logs and the audit."""

import re
from typing import Any

MAX_LINE, MAX_TEXT = 2_000, 32_000  # characters; a traceback has many lines, an attacker's text long ones
_HIDDEN, _CUT = "[hidden]", "[cut]"
_NOT_YET = r"(?!\[hidden\])"
_NAMES = r"token|secret|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|signature|sessionid|csrftoken"
# A local part as in RFC 5322, quoted or not, in any script. Text directly in front of one may be redacted too.
_LOCAL_PART = r'(?:"[^"\n@]*+"|(?<![^\s@"<>(),:;\[\]\\])[^\s@"<>(),:;\[\]\\]++)'

# In this order: a later rule sees what an earlier one left. Linear in the length of the text: what repeats without
# bound is possessive (it never backtracks), and it stops where the next try of the rule may begin.
RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
            r"(?:[^-]|-(?!----END ))*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?",
            _HIDDEN,
        ),
        (rf"""((?:authori[sz]ation|cookie)["']?\s{{0,9}}[:=]\s{{0,9}}["']?){_NOT_YET}[^"'\n]++""", rf"\1{_HIDDEN}"),
        (
            rf"""((?:{_NAMES})\w{{0,20}}["']?\s{{0,3}}[:=]\s{{0,3}}b?["']?){_NOT_YET}[^\s"'&,;)}}\]]++""",
            rf"\1{_HIDDEN}",
        ),
        (rf"\b(bearer\s++|basic\s++){_NOT_YET}[^\s\"',]++", rf"\1{_HIDDEN}"),
        (r"(?-i:eyJ)[\w-]{6,}+(?:\.[\w-]*+)*+", _HIDDEN),
        (r"\b(whsec_|sk_live_|sk_test_|avo_(?=[0-9a-f]{40}))[\w+/=-]++", rf"\1{_HIDDEN}"),
        (r"\b(ak_|oat_|mt_)\w{16,}+", rf"\1{_HIDDEN}"),
        (r"""(/u/)[^\s"'<>?#/]++""", rf"\1{_HIDDEN}"),
        (rf"{_LOCAL_PART}@(?:\[[^\[\]\s@]*+\]|[.-]*+\w++(?:[.-]++\w++)*+)", "[address]"),
        (r"\b[0-9a-f]{40,}+\b", _HIDDEN),
    )
)
_WORD = re.compile(r'[^\s"<>]++')
_SCHEME = re.compile(r"\w://")


def redacted(text: str) -> str:
    """``text`` without secrets and addresses. It may hide a harmless word; it is idempotent.

    Of a line only the words within its first ``MAX_LINE`` characters are kept, of a text the lines within ``MAX_TEXT``.
    """
    text = _WORD.sub(_without_password, cut(text))
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    return text


def cut(text: str) -> str:
    """``text`` within the maximum lengths, cut between words, because half a secret would not be recognised."""
    if len(text) <= MAX_LINE:
        return text
    *lines, last = text[:MAX_TEXT].split("\n")
    if len(text) > MAX_TEXT and lines:
        last = _CUT  # it may end within a secret
    return "\n".join(map(_cut_line, (*lines, last)))


def _cut_line(line: str) -> str:
    if len(line) <= MAX_LINE:
        return line
    words = line[: MAX_LINE - len(_CUT)].rsplit(None, 1)
    return " ".join((*words[:-1], _CUT))


def _without_password(match: re.Match[str]) -> str:
    """user:password@ of a URL; a password may contain any character except spaces and the end of a quoted URL."""
    word = match[0]
    scheme, end = _SCHEME.search(word), word.rfind("@")
    if scheme is None or end < scheme.end():
        return word
    return f"{word[: scheme.end()]}{_HIDDEN}{word[end:]}"


def redacted_values(value: Any) -> Any:
    """``redacted`` applied to every text in a JSON-like value. Other types are converted to text first."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_values(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(held) for held in value]
    return value if value is None or isinstance(value, bool | int | float) else redacted(str(value))
