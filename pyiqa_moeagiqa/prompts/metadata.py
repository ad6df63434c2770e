"""Read the prompt that image generators write into their images.

| software | where | read by |
|---|---|---|
| AUTOMATIC1111, Forge, SD.Next | PNG ``parameters``; EXIF UserComment; comments of JPEG and GIF | ``automatic1111`` |
| ComfyUI | PNG ``prompt``, ``workflow``; EXIF Make and Model (WebP), UserComment | ``comfyui`` |
| SwarmUI | the same places as AUTOMATIC1111, JSON ``sui_image_params`` | ``swarmui`` |
| Fooocus | the same places, JSON with ``prompt`` | ``fooocus`` |
| InvokeAI | PNG ``invokeai_metadata``, ``invokeai_graph``, ``invokeai_workflow``; before version 3 ``sd-metadata``, before that ``Dream`` | ``invokeai``, ``old_invokeai`` |
| NovelAI | PNG ``Comment`` (JSON; from version 4 on with a caption for each character), ``Description``; both in a WebP's UserComment; the alpha channel | ``novelai``, ``novelai_alpha.py`` |
| Draw Things | XMP exif:UserComment or EXIF UserComment, JSON with ``c`` | ``draw_things`` |
| Midjourney | PNG ``Description`` or XMP dc:description, with a job's number | ``midjourney`` |
| Mochi Diffusion | IPTC caption, which PNG has as XMP dc:description | ``mochi_diffusion`` |
| stable-diffusion.cpp | PNG ``parameters``; XMP sdcpp:parameters (WebP); a JPEG's comment | ``stable_diffusion_cpp`` |
| Black Forest Labs' flux | EXIF ImageDescription | ``flux`` |
| RuinedFooocus, Hugging Face spaces, Civitai's generator, Easy Diffusion, imaginAIry | settings as JSON in PNG ``parameters`` or UserComment | ``settings_as_json`` |
| Easy Diffusion | PNG ``prompt`` beside ``seed`` and others, or the same as labels | ``settings_as_texts`` |

If a graph does not tell which of several texts an image was made from, no prompt is returned, and ``prompt_candidates`` lists
the texts.

The library sd-parsers (0.6) reads five of these formats, and the tests compare with it for those. It is not used because each
of the five needs more: it misses EXIF that is not UTF-16 with the high byte first (all of Fooocus's), InvokeAI's FLUX, texts
of AUTOMATIC1111 without settings, ComfyUI's graphs without ``workflow`` (all that came by its API), custom samplers, joined
and linked texts, and NovelAI's characters. It also fails on deeply nested JSON, and keeps its results in globals that
threads share.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from ..images.files import opened
from . import clean, makers
from .novelai_alpha import alpha_fields
from .text_fields import late_fields, text_fields

Fields = dict[str, str]


def metadata_prompt(path: Path | str | BinaryIO) -> tuple[str, str] | None:
    """Return the prompt in a file's metadata, as plain words, and its source; None if there is no prompt."""
    try:
        with opened(path, str(path)) as image:
            return prompt_in_image(image)
    except Exception:  # reading the pixels later reports what is wrong with the file
        return None


def prompt_in_image(image: Image.Image) -> tuple[str, str] | None:
    """Return the prompt in a Pillow image's metadata, and its source, such as 'PNG metadata of ComfyUI'."""
    for fields in _all_fields(image):
        try:
            found = _prompt_of(fields)
        except Exception:  # metadata can hold anything, such as JSON nested too deeply for Python
            continue
        if found:
            prompt, maker = found
            return prompt, f'{f"{image.format} " if image.format else ""}metadata of {maker}'
    return None


def prompt_candidates(path: Path | str) -> tuple[str, ...]:
    """Return the texts in a file's graphs that could be its prompt if nothing tells which is; none if one is certain."""
    try:
        with opened(path, str(path)) as image:
            for fields in _all_fields(image):
                texts = [clean.stable_diffusion(text) for read in GRAPHS for text in read(fields).candidates]
                if found := tuple(dict.fromkeys(filter(None, texts))):
                    return found[:MOST_CANDIDATES]
    except Exception:  # as in metadata_prompt
        pass
    return ()


def _all_fields(image: Image.Image) -> Iterator[Fields]:
    """Yield a file's texts, those before the pixels first; slower ones are read only when the caller asks for more."""
    for read in (text_fields, late_fields, alpha_fields):
        try:
            fields = read(image)
        except Exception:  # damaged metadata
            continue
        if fields:
            yield fields


def _prompt_of(fields: Fields) -> tuple[str, str] | None:
    for maker, (read, words) in MAKERS.items():
        text = read(fields)
        if isinstance(text, str) and len(text) <= clean.LONGEST_PROMPT and (prompt := words(text)):
            return prompt, maker
    return None


# The first of several texts in one file counts, so formats that state the prompt come before graphs, where it must be searched.
MAKERS: dict[str, tuple[Callable[[Fields], Any], Callable[[str], str]]] = {
    'SwarmUI': (makers.swarmui, clean.stable_diffusion),
    'Fooocus': (makers.fooocus, clean.stable_diffusion),
    'InvokeAI': (makers.invokeai, clean.invokeai),
    'InvokeAI before version 3': (makers.old_invokeai, clean.old_invokeai),
    'NovelAI': (makers.novelai, clean.novelai),
    'Draw Things': (makers.draw_things, clean.stable_diffusion),
    'Midjourney': (makers.midjourney, clean.midjourney),
    'Mochi Diffusion': (makers.mochi_diffusion, clean.stable_diffusion),
    'stable-diffusion.cpp': (makers.stable_diffusion_cpp, clean.stable_diffusion),
    'flux': (makers.flux, clean.spaced),
    'AUTOMATIC1111': (makers.automatic1111, clean.stable_diffusion),
    'ComfyUI': (makers.comfyui, clean.stable_diffusion),
    'software that writes JSON': (makers.settings_as_json, clean.stable_diffusion),
    'Easy Diffusion': (makers.settings_as_texts, clean.stable_diffusion),
}
GRAPHS = (makers.comfyui_reading, makers.invokeai_graph_reading)
MOST_CANDIDATES = 9
