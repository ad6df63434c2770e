"""EXIF UserComment's bytes -> text. The first eight bytes name the character code, but writers use these names differently.

| first bytes | by the rules (EXIF 2.32, 4.6.5) | also met |
|---|---|---|
| ``UNICODE\\0`` | UTF-16 in the order of the file | either order, with a mark or without; UTF-8 |
| ``ASCII\\0\\0\\0`` | ASCII | UTF-8 |
| ``JIS\\0\\0\\0\\0\\0`` | JIS X 0208 | Shift JIS, UTF-8 |
| eight zeros | unspecified | UTF-8 |
| none | | UTF-8, UTF-16, and Exiv2's ``charset=Unicode`` in letters |
"""

import re
from typing import Any

_CODE = re.compile(rb'(?i:unicode|ascii|jis|utf-?8|utf-?16)\0{0,6}')
_CHARSET = re.compile(r'\Acharset=(?:"[\w-]{1,12}"|[\w-]{1,12})\s')


def comment_text(value: Any) -> str:
    """Decode a UserComment as Pillow returns it: bytes, or text if the file calls it ASCII; '' for other values."""
    if isinstance(value, str):
        try:
            value = value.encode('latin-1')
        except UnicodeEncodeError:
            return _CHARSET.sub('', value)
    if not isinstance(value, bytes):
        return ''
    found = _CODE.match(value[:8])
    code = (
        value[:8].rstrip(b'\0').lower()
        if found and len(value) >= 8 and (found.end() == 8 or len(found[0]) == 8)
        else b''
    )
    text = value[8:] if code or value[:8] == bytes(8) else value
    return _CHARSET.sub('', _decoded(code, text)).strip('\0')


def _decoded(code: bytes, text: bytes) -> str:
    if text[:2] in (b'\xff\xfe', b'\xfe\xff'):
        return text.decode('utf-16', 'replace')
    if _looks_like_utf16(text) or (code in (b'unicode', b'utf16', b'utf-16') and not _is_utf8(text.rstrip(b'\0'))):
        is_big = text[0::2].count(0) >= text[1::2].count(0)
        return text.decode('utf-16-be' if is_big else 'utf-16-le', 'replace').lstrip('\ufeff')
    text = text.rstrip(b'\0').removeprefix(b'\xef\xbb\xbf')
    for name in ('utf-8', *(('iso2022_jp', 'shift_jis') if code == b'jis' else ())):
        if name == 'utf-8' and code == b'jis' and b'\x1b$' in text:
            continue
        try:
            return text.decode(name)
        except UnicodeDecodeError:
            pass
    return text.decode('utf-8' if not text.isascii() and code else 'latin-1', 'replace')


def _looks_like_utf16(text: bytes) -> bool:
    """Whether about every second byte is zero, as it is for Latin letters in UTF-16."""
    start = text[:400]
    even, odd = start[0::2].count(0), start[1::2].count(0)
    return len(start) > 3 and max(even, odd) > len(start) / 4 and min(even, odd) <= len(start) / 20


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return b'\0' not in text
