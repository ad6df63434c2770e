"""The texts in an image file, by name: PNG's text chunks, EXIF's UserComment and its like, XMP's descriptions."""

import os
from typing import Any, BinaryIO
from xml.etree import ElementTree

from PIL import ExifTags, Image
from PIL.PngImagePlugin import iTXt

LONGEST = 4 << 20  # characters: of workflows; Pillow itself reads at most 1 MiB of a compressed chunk
XMP_NAMES = {
    '{http://purl.org/dc/elements/1.1/}description': 'dc:description',
    '{http://ns.adobe.com/exif/1.0/}UserComment': 'exif:UserComment',
    '{http://ns.adobe.com/xap/1.0/}CreatorTool': 'xmp:CreatorTool',
}


def text_fields(image: Image.Image) -> dict[str, str]:
    """What is written in an opened image, without decoding a pixel; chunks behind PNG's pixels are not looked at.

    Raises:
        Exception: whatever Pillow and the XML parser have for damaged metadata.
    """
    fields = {name: _right_text(value) for name, value in image.info.items() if isinstance(value, str)}
    if 'exif' in image.info:  # Pillow would look behind a PNG's pixels where it is not
        fields |= _exif_texts(image.getexif())
    xmp = image.info.get('xmp') or image.info.get('XML:com.adobe.xmp')
    if xmp and len(xmp) <= LONGEST:
        fields |= _xmp_texts(xmp)
    return {name: text for name, text in fields.items() if len(text) <= LONGEST}


def late_fields(image: Image.Image) -> dict[str, str]:
    """The texts of a PNG where some stand behind its pixels; all pixels are decoded for them."""
    if image.format != 'PNG' or (image.fp and not _has_late_text(image.fp)):
        return {}
    return {name: _right_text(text) for name, text in image.text.items() if len(text) <= LONGEST}


def _has_late_text(file: BinaryIO) -> bool:
    """Whether a PNG file has a chunk of text behind its pixels, seen from the chunks' heads alone."""
    here, behind = file.tell(), False
    try:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            kind = head[4:]
            if behind and kind in (b'tEXt', b'zTXt', b'iTXt'):
                return True
            behind = behind or kind == b'IDAT'
            file.seek(int.from_bytes(head[:4], 'big') + 4, os.SEEK_CUR)  # data and checksum
        return False
    finally:
        file.seek(here)


def _right_text(text: str) -> str:
    """PNG's plain texts are Latin-1 by its rules, and UTF-8 by the habit of some software."""
    if isinstance(text, iTXt) or text.isascii():
        return str(text)
    try:
        return text.encode('latin-1').decode()
    except UnicodeError:
        return text


def _exif_texts(exif: Image.Exif) -> dict[str, str]:
    fields = {}
    # Fooocus writes UserComment where it does not belong, and without the eight bytes that name its code
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment) or exif.get(ExifTags.Base.UserComment)
    if comment:
        fields['UserComment'] = _comment(comment)
    for tag in (ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model):
        name, _, text = str(exif.get(tag, '')).partition(':')
        if name.lower() in ('prompt', 'workflow'):  # ComfyUI's WebP
            fields[name.lower()] = text
    return fields


def _comment(value: Any) -> str:
    """UserComment's text: its first eight bytes name the code, and UTF-16 comes in both orders of bytes."""
    if isinstance(value, str):
        return value
    code, text = value[:8], value[8:]
    if code == b'UNICODE\0':
        is_big = text[0::2].count(0) >= text[1::2].count(0)
        return text.decode('utf-16-be' if is_big else 'utf-16-le', 'replace').lstrip('\ufeff')
    return (text if code in (b'ASCII\0\0\0', bytes(8)) else value).decode('utf-8', 'replace').rstrip('\0')


def _xmp_texts(xmp: str | bytes) -> dict[str, str]:
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    if b'<!' in xmp.replace(b'<!--', b'').replace(b'<![CDATA[', b''):  # entities that grow; XMP has none
        return {}
    root, fields = ElementTree.fromstring(xmp.strip(b'\0')), {}
    for element in root.iter():
        if element.tag in XMP_NAMES:
            fields[XMP_NAMES[element.tag]] = ''.join(element.itertext()).strip()
        for name, value in element.attrib.items():  # RDF's short form
            if name in XMP_NAMES:
                fields[XMP_NAMES[name]] = value
    return fields
