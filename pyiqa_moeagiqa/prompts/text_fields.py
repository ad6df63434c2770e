"""Read the texts in an image file, by name: PNG's text chunks, EXIF's UserComment and others, XMP's descriptions, comments."""

import os
from typing import IO, Any
from xml.etree import ElementTree

from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngImageFile, iTXt

from .charsets import comment_text

LONGEST = 4 << 20  # characters, as workflows are long; Pillow itself reads at most 1 MiB of a compressed chunk
XMP_NAMES = {
    '{http://purl.org/dc/elements/1.1/}description': 'dc:description',
    '{http://ns.adobe.com/exif/1.0/}UserComment': 'exif:UserComment',
    '{http://ns.adobe.com/xap/1.0/}CreatorTool': 'xmp:CreatorTool',
    '{https://github.com/leejet/stable-diffusion.cpp/ns/1.0/}parameters': 'sdcpp:parameters',
}


def text_fields(image: Image.Image) -> dict[str, str]:
    """Return the texts of an opened image without decoding a pixel; text chunks after a PNG's pixels are not read.

    Raises:
        Exception: any error that Pillow or the XML parser raises for damaged metadata.
    """
    fields = {str(name): _right_text(value) for name, value in image.info.items() if isinstance(value, str)}
    if isinstance(comment := image.info.get('comment'), bytes):  # JPEG and GIF
        fields['comment'] = comment_text(comment)
    if (caption := _caption(image.info.get('photoshop'))) is not None:
        fields['Caption'] = caption
    if 'exif' in image.info:  # without this, Pillow would search EXIF after a PNG's pixels
        fields |= _exif_texts(image.getexif())
    xmp = image.info.get('xmp') or image.info.get('XML:com.adobe.xmp')
    if xmp and len(xmp) <= LONGEST:
        fields |= _xmp_texts(xmp)
    return {name: text for name, text in fields.items() if len(text) <= LONGEST}


def late_fields(image: Image.Image) -> dict[str, str]:
    """Return the texts of a PNG that has some after its pixels; all its pixels are decoded for them."""
    if not isinstance(image, PngImageFile) or (image.fp and not _has_late_text(image.fp)):
        return {}
    return {name: _right_text(text) for name, text in image.text.items() if len(text) <= LONGEST}


def _has_late_text(file: IO[bytes]) -> bool:
    """Whether a PNG file has a text chunk after its pixels; only the heads of chunks are read."""
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
    """Decode a plain text as UTF-8 if possible: PNG's are Latin-1 by the standard, but some software writes UTF-8."""
    if isinstance(text, iTXt) or text.isascii():
        return str(text)
    try:
        return text.encode('latin-1').decode()
    except UnicodeError:
        return text


def _exif_texts(exif: Image.Exif) -> dict[str, str]:
    fields = {}
    # Fooocus writes UserComment into the main IFD, not the EXIF one, and without the eight bytes that name its code
    comment = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.UserComment) or exif.get(ExifTags.Base.UserComment)
    if comment:
        fields['UserComment'] = comment_text(comment)
    for tag in (ExifTags.Base.ImageDescription, ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Software):
        value = _right_text(str(exif.get(tag, ''))).strip('\0')
        name, _, text = value.partition(':')
        if name.lower() in ('prompt', 'workflow'):  # ComfyUI's WebP
            fields[name.lower()] = text
        elif value:
            fields[f'exif:{tag.name}'] = value
    return fields


def _caption(resources: Any) -> str | None:
    """Return IPTC's caption (record 2, data set 120) from a JPEG's Photoshop resources; None if there is none."""
    data = resources.get(0x0404) if isinstance(resources, dict) else None
    if not isinstance(data, bytes) or (start := data.find(b'\x1c\x02\x78')) < 0:
        return None
    length = int.from_bytes(data[start + 3 : start + 5], 'big')
    return data[start + 5 : start + 5 + length].decode('utf-8', 'replace')


def _xmp_texts(xmp: str | bytes) -> dict[str, str]:
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    if b'<!' in xmp.replace(b'<!--', b'').replace(
        b'<![CDATA[', b''
    ):  # entities could expand without bound; XMP has none
        return {}
    root, fields = ElementTree.fromstring(xmp.strip(b'\0')), {}
    for element in root.iter():
        if element.tag in XMP_NAMES:
            fields[XMP_NAMES[element.tag]] = _own_text(element)
        for name, value in element.attrib.items():  # RDF's short form
            if name in XMP_NAMES:
                fields[XMP_NAMES[name]] = value
    return fields


def _own_text(element: ElementTree.Element) -> str:
    """Return an element's own text, or that of the first item in its list.

    Deeper levels are not searched: nested texts would be read again and again.
    """
    for one in (element, *(item for group in element[:1] for item in group[:1])):
        if one.text and one.text.strip():
            return one.text.strip()
    return ''
