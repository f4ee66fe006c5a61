"""The wire format of mail: ASCII lines of at most 998 characters, whatever the text, so that every server takes it
unchanged, also one without 8BITMIME (RFC 6152).

Headers: RFC 5322, 2.2.3 and RFC 2047. Bodies: RFC 2045, 6. Line ends are ``\\n`` here and become CRLF on the way out.
The standard library is not used where it takes VT, FF, NEL or U+2028 for line ends, or folds encoded words too late.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator

MAX_LINE = 998  # RFC 5322, 2.1.1, without CRLF
_FOLDED_LINE = 78  # the length that 2.1.1 recommends
_ENCODED_LINE = 76  # RFC 2047, 2: a line with encoded words, and 75 for the word itself
_MAX_QUOTED = 60

_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_PLAIN_BODY = re.compile(r"[\t\n\x20-\x7e]*")
_ATOMS = re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*")
_LINE_END = re.compile(r"\r\n|\r|\n")
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/ ")  # RFC 2047, 5 (3)


def text_header(name: str, text: str) -> str:
    """The value of an unstructured field such as Subject, folded. Text that would be misread is encoded: not ASCII, a
    word without end, or ``=?``, which a reader would decode."""
    pieces = re.findall(" *[^ ]+", text)
    if not _is_plain(text) or any(len(piece) > _FOLDED_LINE - len(name) - 2 for piece in pieces):
        return "\n ".join(_encoded_words(text, _ENCODED_LINE - len(name) - 2))
    return _fold(pieces, len(name) + 2)


def mailbox_header(name: str, display_name: str, address: str) -> str:
    """The value of a field such as From: an address (ASCII) and, if any, the name of its owner."""
    if not display_name:
        return address
    shown = display_name if _ATOMS.fullmatch(display_name) else quoted(display_name)
    if not _is_plain(display_name) or len(shown) > _MAX_QUOTED:
        words = "\n ".join(_encoded_words(display_name, _ENCODED_LINE - len(name) - 2))
        return f"{words}\n <{address}>"
    return _fold([shown, f" <{address}>"], len(name) + 2)


def quoted(text: str) -> str:
    """``text`` as a quoted string (RFC 5322, 3.2.4)."""
    return '"' + re.sub(r'([\\"])', r"\\\1", text) + '"'


def list_header(name: str, items: Iterable[str]) -> str:
    """The value of a field with several items separated by blanks, such as References."""
    return _fold([item if number == 0 else f" {item}" for number, item in enumerate(items)], len(name) + 2)


def encoded_body(text: str) -> tuple[str, str]:
    """The Content-Transfer-Encoding of a text, and the text in it: 7bit where that is safe, else the shorter one."""
    text = _LINE_END.sub("\n", text)
    if _PLAIN_BODY.fullmatch(text) and max(map(len, text.split("\n"))) <= MAX_LINE:
        return "7bit", text
    quoted_printable = binascii.b2a_qp(text.encode(), istext=True)
    in_base64 = base64.encodebytes(text.replace("\n", "\r\n").encode())
    if len(quoted_printable) <= len(in_base64):
        return "quoted-printable", quoted_printable.decode("ascii")
    return "base64", in_base64.decode("ascii")


def _is_plain(text: str) -> bool:
    return "=?" not in text and _PRINTABLE.fullmatch(text) is not None


def _fold(pieces: Iterable[str], column: int) -> str:
    """Joins pieces, each but the first starting with a blank, and breaks lines between them; ``column`` characters of
    the first line are taken."""
    lines = [""]
    for piece in pieces:
        if lines[-1] and column + len(lines[-1]) + len(piece) > _FOLDED_LINE:
            lines.append("")
            column = 0
        lines[-1] += piece
    return "\n".join(lines)


def _encoded_words(text: str, first_line: int) -> list[str]:
    """``text`` as encoded words of whole characters, in the shorter encoding; the first one has at most ``first_line``
    characters."""
    in_q = sum(map(_q_length, text))
    in_base64 = _b_length(len(text.encode()))
    if in_q <= in_base64:
        return list(_words(text, first_line, "q", _q, _q_length, lambda length: length))
    return list(_words(text, first_line, "b", _b, lambda character: len(character.encode()), _b_length))


def _words(
    text: str,
    room: int,
    letter: str,
    encode: Callable[[bytes], str],
    measure: Callable[[str], int],
    length: Callable[[int], int],
) -> Iterator[str]:
    """``length`` is that of an encoded word whose characters have the sum of ``measure``."""
    frame = len(f"=?utf-8?{letter}??=")
    start = size = 0
    for position, character in enumerate(text):
        more = measure(character)
        if size and frame + length(size + more) > room:
            yield f"=?utf-8?{letter}?{encode(text[start:position].encode())}?="
            start, size, room = position, 0, _ENCODED_LINE - 1
        size += more
    yield f"=?utf-8?{letter}?{encode(text[start:].encode())}?="


def _q_length(character: str) -> int:
    return sum(1 if byte in _Q_SAFE else 3 for byte in character.encode())


def _b_length(size: int) -> int:
    return 4 * -(-size // 3)


def _q(data: bytes) -> str:
    return "".join("_" if byte == 32 else chr(byte) if byte in _Q_SAFE else f"={byte:02X}" for byte in data)


def _b(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
