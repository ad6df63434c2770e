"""The prompt that the software that made an image wrote into it.

| software | where | read by |
|---|---|---|
| AUTOMATIC1111, Forge | PNG ``parameters``; EXIF UserComment | ``_automatic1111`` |
| ComfyUI | PNG ``prompt``, ``workflow``; EXIF Make and Model (WebP), UserComment | ``comfyui`` |
| SwarmUI | the same places as AUTOMATIC1111, JSON ``sui_image_params`` | ``_swarmui`` |
| Fooocus | the same places, JSON with ``prompt`` | ``_fooocus`` |
| InvokeAI | PNG ``invokeai_metadata``; before version 3 ``sd-metadata``, before that ``Dream`` | ``_invokeai`` |
| NovelAI | PNG ``Comment`` (JSON; from version 4 on with a caption for each character), ``Description`` | ``_novelai`` |
| Draw Things | XMP exif:UserComment or EXIF UserComment, JSON with ``c`` | ``_draw_things`` |
| Midjourney | PNG ``Description`` or XMP dc:description, with a job's number | ``_midjourney`` |

The library sd-parsers (0.6) reads five of these, and the tests compare with it where it does. It is not used because each of
the five needs more: it misses EXIF that is not UTF-16 with the high byte first (all of Fooocus's), InvokeAI's FLUX, texts of
AUTOMATIC1111 without settings, ComfyUI's graphs without ``workflow`` (all that came by its API), custom samplers, joined and
linked texts, and NovelAI's characters; it fails on deeply nested JSON, and keeps what it read in globals that threads share.
NovelAI's copy in the alpha channel is not read: every pixel would have to be decoded.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from ..image_files import opened
from . import clean
from .comfyui import graph_prompt, workflow_prompt
from .text_fields import late_fields, text_fields

Fields = dict[str, str]


def metadata_prompt(path: Path | str) -> tuple[str, str] | None:
    """The prompt in a file's metadata, as plain words, and where it is from; None where there is none."""
    try:
        with opened(path, str(path)) as image:
            return prompt_in_image(image)
    except Exception:  # whatever Pillow has against the file is said when its pixels are read
        return None


def prompt_in_image(image: Image.Image) -> tuple[str, str] | None:
    """The prompt that an image of Pillow brings, and where it is from, such as 'PNG metadata of ComfyUI'."""
    for read in (text_fields, late_fields):
        try:
            found = _prompt_of(read(image))
        except Exception:  # metadata of strangers: damaged, or nested deeper than Python goes
            continue
        if found:
            prompt, maker = found
            return prompt, f'{f"{image.format} " if image.format else ""}metadata of {maker}'
    return None


def _prompt_of(fields: Fields) -> tuple[str, str] | None:
    for maker, (read, words) in MAKERS.items():
        text = read(fields)
        if isinstance(text, str) and len(text) <= clean.LONGEST_PROMPT and (prompt := words(text)):
            return prompt, maker
    return None


def _json(text: str | None) -> dict[str, Any]:
    """A JSON object; an empty one for whatever is none."""
    try:
        values = json.loads(text) if text and text.lstrip()[:1] == '{' else None
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _under(values: Any, *keys: str) -> Any:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _parameters(fields: Fields) -> str:
    return fields.get('parameters') or fields.get('UserComment') or ''


def _swarmui(fields: Fields) -> Any:
    return _under(_json(_parameters(fields)), 'sui_image_params', 'prompt')


def _fooocus(fields: Fields) -> Any:
    text = _parameters(fields)
    values = _json(text)
    if 'base_model' in values or 'metadata_scheme' in values:
        return values.get('prompt')
    return clean.positive_part(text) if fields.get('fooocus_scheme') == 'a1111' else None


def _automatic1111(fields: Fields) -> str | None:
    text = _parameters(fields)
    positive = clean.positive_part(text)
    is_free_text = 'parameters' not in fields and positive == text  # a camera's comment, too, is a UserComment
    return None if is_free_text or text.lstrip().startswith(('{', '[')) else positive


def _comfyui(fields: Fields) -> str | None:
    for text in (fields.get('prompt'), fields.get('UserComment')):
        graph = _json(text)
        prompt = graph_prompt(graph) or graph_prompt(graph.get('prompt'))
        if prompt:
            return prompt
    return workflow_prompt(_json(fields.get('workflow')))


def _invokeai(fields: Fields) -> Any:
    return _json(fields.get('invokeai_metadata')).get('positive_prompt')


def _old_invokeai(fields: Fields) -> str | None:
    parts = _under(_json(fields.get('sd-metadata')), 'image', 'prompt')
    if isinstance(parts, str):
        return parts
    if isinstance(parts, list):
        return ', '.join(str(part['prompt']) for part in parts if isinstance(_under(part, 'prompt'), str))
    dream = fields.get('Dream', '')
    quoted = re.match('"(.*)"', dream, re.DOTALL)
    return quoted[1] if quoted else re.split(r' -\w ', dream, maxsplit=1)[0]


def _novelai(fields: Fields) -> str | None:
    comment = _json(fields.get('Comment'))
    if 'NovelAI' not in fields.get('Software', '') and 'uc' not in comment:
        return None
    caption = _under(comment, 'v4_prompt', 'caption')
    base = _under(caption, 'base_caption') or comment.get('prompt') or fields.get('Description')
    characters = _under(caption, 'char_captions')
    captions = [_under(one, 'char_caption') for one in characters] if isinstance(characters, list) else []
    return ', '.join(text for text in (base, *captions) if isinstance(text, str))


def _draw_things(fields: Fields) -> Any:
    for text in (fields.get('exif:UserComment'), fields.get('UserComment')):
        values = _json(text)
        if 'c' in values and 'uc' in values:
            return values['c']
    if fields.get('xmp:CreatorTool') != 'Draw Things':
        return None
    return re.split(r'\n(?:-|Steps: )', fields.get('dc:description', ''), maxsplit=1)[0]


def _midjourney(fields: Fields) -> str | None:
    texts = (fields.get(name, '') for name in ('Description', 'dc:description'))
    return next((text for text in texts if 'Job ID:' in text), None)


# Of several texts in one file the first counts: what was typed comes before graphs that it has to be looked for in.
MAKERS: dict[str, tuple[Callable[[Fields], Any], Callable[[str], str]]] = {
    'SwarmUI': (_swarmui, clean.stable_diffusion),
    'Fooocus': (_fooocus, clean.stable_diffusion),
    'InvokeAI': (_invokeai, clean.invokeai),
    'InvokeAI before version 3': (_old_invokeai, clean.old_invokeai),
    'NovelAI': (_novelai, clean.novelai),
    'Draw Things': (_draw_things, clean.stable_diffusion),
    'Midjourney': (_midjourney, clean.midjourney),
    'AUTOMATIC1111': (_automatic1111, clean.stable_diffusion),
    'ComfyUI': (_comfyui, clean.stable_diffusion),
}
