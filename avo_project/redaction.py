"""Takes out of a text what no log may hold: credentials, mail addresses, unsubscribe tokens."""

import re
from typing import Any

_HIDDEN = "[hidden]"
_NOT_YET = r"(?!\[hidden\])"
_NAMES = r"token|secret|passw(?:or)?d|pwd|api[_-]?key|access[_-]?key|signature|sessionid|csrftoken"
# A local part as in RFC 5322, quoted or not, in any script. What stands in front of one without a space may go too.
_LOCAL_PART = r'(?:"[^"\n@]*"|(?<![^\s@"<>(),:;\[\]\\])[^\s@"<>(),:;\[\]\\]+)'

# In this order: a later rule sees what an earlier one left. What repeats in front of a rule's certain part is bounded,
# or a long line would take time with the square of its length.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), replacement)
    for pattern, replacement in (
        (r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", _HIDDEN),
        # user:password@ of a URL; a password may hold any sign but a space or what ends a quoted URL
        (r'(\w://)[^\s"<>]{0,1000}@', rf"\1{_HIDDEN}@"),
        (rf"""((?:authori[sz]ation|cookie)["']?\s*[:=]\s*["']?){_NOT_YET}[^"'\n]+""", rf"\1{_HIDDEN}"),
        (rf"""((?:{_NAMES})\w{{0,20}}["']?\s{{0,3}}[:=]\s{{0,3}}b?["']?){_NOT_YET}[^\s"'&,;)}}\]]+""", rf"\1{_HIDDEN}"),
        (rf"\b(bearer\s+|basic\s+){_NOT_YET}[^\s\"',]+", rf"\1{_HIDDEN}"),
        (r"(?-i:eyJ)[\w-]{6,}(?:\.[\w-]*)*", _HIDDEN),
        (r"\b(whsec_|sk_live_|sk_test_|avo_(?=[0-9a-f]{40}))[\w+/=-]+", rf"\1{_HIDDEN}"),
        (r"\b(ak_|oat_|mt_)\w{16,}", rf"\1{_HIDDEN}"),
        (r"""(/u/)[^\s"'<>?#/]+""", rf"\1{_HIDDEN}"),
        (rf"{_LOCAL_PART}@(?:\[[^\]\s]*\]|[\w.-]*\w)", "[address]"),
        (r"\b[0-9a-f]{40,}\b", _HIDDEN),
    )
)


def redacted(text: str) -> str:
    """``text`` without secrets and addresses. It rather hides a word too many; doing it twice changes nothing."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def redacted_values(value: Any) -> Any:
    """The same for every text in a JSON-like value. What is neither text nor number is written as text first."""
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, dict):
        return {key: redacted_values(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [redacted_values(held) for held in value]
    return value if value is None or isinstance(value, bool | int | float) else redacted(str(value))
