"""One function per software: a file's texts by name -> the prompt as it was typed, or None if another software wrote them."""

import json
import re
from typing import Any

from . import clean
from .comfyui import Reading, is_graph, read_drawing, read_run
from .invokeai import invokeai_reading

Fields = dict[str, str]

# Names of settings that come with a prompt, in JSON or as separate texts; without one of them, 'prompt' can be any text
SETTINGS = {
    'negative_prompt', 'negative', 'negativeprompt', 'seed', 'steps', 'num_inference_steps', 'guidance_scale', 'cfg', 'cfg_scale',
    'cfgscale', 'sampler', 'sampler_name', 'software', 'resolution', 'use_stable_diffusion_model', 'stable_diffusion_model',
}  # fmt: skip
# Texts that a saver writes in place of a missing prompt (comfy-image-saver: 'unknown')
_PLACEHOLDER = re.compile(r'\s*(?:unknown|undefined|none|null|n/a)?\s*', re.IGNORECASE)
_MOCHI = re.compile(r'Include in Image: (.*?)(?:; (?:Exclude from Image|Model|Steps|Seed): |\Z)', re.DOTALL)


def json_object(text: str | None) -> dict[str, Any]:
    """Parse a text as a JSON object; return an empty object for any other text."""
    try:
        values = json.loads(text) if text and text.lstrip()[:1] == '{' else None
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def under(values: Any, *keys: str) -> Any:
    """Return the value under a chain of keys in nested objects; None if a key is missing."""
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _parameters(fields: Fields) -> str:
    return fields.get('parameters') or fields.get('UserComment') or ''


def swarmui(fields: Fields) -> Any:
    """SwarmUI: JSON in the parameters."""
    return under(json_object(_parameters(fields)), 'sui_image_params', 'prompt')


def fooocus(fields: Fields) -> Any:
    """Fooocus: JSON, or AUTOMATIC1111's text if the scheme says so."""
    text = _parameters(fields)
    values = json_object(text)
    if 'base_model' in values or 'metadata_scheme' in values:
        return values.get('prompt')
    return clean.positive_part(text) if fields.get('fooocus_scheme') == 'a1111' else None


def automatic1111(fields: Fields) -> str | None:
    """AUTOMATIC1111 and software derived from it: the text before the negative prompt and the settings."""
    if (text := fields.get('parameters')) is not None:
        positive = clean.positive_part(text)
        has_settings = positive != text
    else:  # only with settings: a camera's comment is a UserComment, too
        places = (
            fields.get(name, '') for name in ('UserComment', 'comment', 'exif:ImageDescription', 'exif:UserComment')
        )
        text = next((text for text in places if clean.positive_part(text) != text), '')
        positive, has_settings = clean.positive_part(text), True
    if _PLACEHOLDER.fullmatch(positive) or (text.lstrip().startswith(('{', '[')) and not has_settings):
        return None
    return positive


def stable_diffusion_cpp(fields: Fields) -> str | None:
    """stable-diffusion.cpp: AUTOMATIC1111's text in XMP, or in a comment after the word 'parameters'."""
    comment = fields.get('comment', '')
    text = fields.get('sdcpp:parameters') or (comment[11:] if comment.startswith('parameters\0') else '')
    return clean.positive_part(text) or None


def comfyui_reading(fields: Fields) -> Reading:
    """Read ComfyUI's graph as it was run; without one, the graph as it was drawn."""
    workflow = json_object(fields.get('workflow'))
    for text in (fields.get('prompt'), fields.get('UserComment'), fields.get('comment')):
        values = json_object(text)
        for graph in (values, values.get('prompt')):
            if is_graph(graph):
                return read_run(graph, workflow or values.get('workflow'))
        workflow = workflow or (values['workflow'] if isinstance(values.get('workflow'), dict) else {})
    return read_drawing(workflow)


def comfyui(fields: Fields) -> str | None:
    """ComfyUI: the prompt of its graphs, if it is certain."""
    return comfyui_reading(fields).prompt


def invokeai(fields: Fields) -> Any:
    """InvokeAI since version 3: the prompt in its metadata, else in its graph."""
    return json_object(fields.get('invokeai_metadata')).get('positive_prompt') or invokeai_graph_reading(fields).prompt


def invokeai_graph_reading(fields: Fields) -> Reading:
    """Read InvokeAI's graphs."""
    return invokeai_reading(*(json_object(fields.get(name)) for name in ('invokeai_graph', 'invokeai_workflow')))


def old_invokeai(fields: Fields) -> str | None:
    """InvokeAI before version 3: the prompt can have several parts, or be in a command line."""
    parts = under(json_object(fields.get('sd-metadata')), 'image', 'prompt')
    if isinstance(parts, str):
        return parts
    if isinstance(parts, list):
        return ', '.join(str(part['prompt']) for part in parts if isinstance(under(part, 'prompt'), str))
    dream = fields.get('Dream', '')
    quoted = re.match('"(.*)"', dream, re.DOTALL)
    return quoted[1] if quoted else re.split(r' -\w ', dream, maxsplit=1)[0]


def novelai(fields: Fields) -> str | None:
    """NovelAI: the base caption and those of the characters; before version 4, the prompt."""
    whole = json_object(fields.get('UserComment'))  # a WebP holds in UserComment what a PNG has in chunks
    fields = fields | {
        name: text
        for name, text in whole.items()
        if name in ('Comment', 'Description', 'Software') and isinstance(text, str)
    }
    comment = json_object(fields.get('Comment'))
    if 'NovelAI' not in fields.get('Software', '') and 'uc' not in comment:
        return None
    caption = under(comment, 'v4_prompt', 'caption')
    base = under(caption, 'base_caption') or comment.get('prompt') or fields.get('Description')
    characters = under(caption, 'char_captions')
    captions = [under(one, 'char_caption') for one in characters] if isinstance(characters, list) else []
    return ', '.join(text for text in (base, *captions) if isinstance(text, str))


def draw_things(fields: Fields) -> Any:
    """Draw Things: JSON, or a description that begins with the prompt."""
    for text in (fields.get('exif:UserComment'), fields.get('UserComment')):
        values = json_object(text)
        if 'c' in values and 'uc' in values:
            return values['c']
    if fields.get('xmp:CreatorTool') != 'Draw Things':
        return None
    return re.split(r'\n(?:-|Steps: )', fields.get('dc:description', ''), maxsplit=1)[0]


def midjourney(fields: Fields) -> str | None:
    """Midjourney: a description with a job's number."""
    texts = (fields.get(name, '') for name in ('Description', 'dc:description', 'exif:ImageDescription'))
    return next((text for text in texts if 'Job ID:' in text), None)


def mochi_diffusion(fields: Fields) -> str | None:
    """Mochi Diffusion: one part of its caption."""
    texts = (fields.get(name, '') for name in ('dc:description', 'Caption', 'exif:ImageDescription'))
    text = next((text for text in texts if 'Generator: Mochi Diffusion' in text), '')
    found = _MOCHI.search(text)
    return found and found[1]


def flux(fields: Fields) -> str | None:
    """Black Forest Labs' own flux: the description of a file that names them as its maker."""
    is_theirs = 'Black Forest Labs' in fields.get('exif:Make', '') or 'AI generated' in fields.get('exif:Software', '')
    return fields.get('exif:ImageDescription') if is_theirs else None


def settings_as_json(fields: Fields) -> str | None:
    """Find the prompt in settings written as one JSON object, in any text of the file."""
    for name, text in fields.items():
        if name == 'workflow' or '"prompt' not in text.lower() or len(text) > 1 << 18:
            continue
        values = json_object(text)
        for one in (
            values,
            values.get('prompt'),
            json_object(values.get('extraMetadata') if isinstance(values.get('extraMetadata'), str) else None),
        ):
            if prompt := _among_settings(one):
                return prompt
    return None


def settings_as_texts(fields: Fields) -> str | None:
    """Find the prompt in settings that are one text each: Easy Diffusion's PNG, with names or with labels."""
    prompt = _among_settings(fields)
    return None if prompt is None or prompt.lstrip().startswith('{') else prompt


def _among_settings(values: Any) -> str | None:
    if not isinstance(values, dict):
        return None
    named = {str(name).lower().replace(' ', '_'): value for name, value in values.items()}
    if not SETTINGS & named.keys():
        return None
    for name in ('prompt', 'prompts'):
        if texts := _weighted(named.get(name)):
            return ', '.join(texts)
    return None


def _weighted(prompts: Any) -> list[str]:
    """Return a prompt, or imaginAIry's several prompts: pairs of weight and text, or objects with both.

    A prompt with a weight below zero is not wanted in the picture, and left out.
    """
    if isinstance(prompts, str):
        return [prompts] if prompts.strip() else []
    found = []
    for one in prompts if isinstance(prompts, list) else ():
        weight, text = one if isinstance(one, list) and len(one) == 2 else (under(one, 'weight'), under(one, 'text'))
        if isinstance(text, str) and not (isinstance(weight, int | float) and weight < 0):
            found.append(text)
    return found
