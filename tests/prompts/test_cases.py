"""Small inputs, each met in a real file or following from the writing program's source, with the right answers (``cases/``)."""

import json
from pathlib import Path

import pytest
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo
from written import XMP

from pyiqa_moeagiqa.prompts import clean, find_prompt
from pyiqa_moeagiqa.prompts.comfyui import graph_prompt, workflow_prompt

RDF = XMP.replace('xmlns:exif', 'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:exif')


def cases(name):
    texts = json.loads((Path(__file__).parent / 'cases' / f'{name}.json').read_text('utf-8'))
    return [pytest.param(case, id=case.get('name', case.get('text'))) for case in texts]


def written(file: dict, folder: Path) -> Path:
    """A file with the texts of a case, where it says that they stand."""
    image, exif, info = Image.new('RGB', (8, 8)), Image.Exif(), PngInfo()
    if 'user_comment' in file:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b'UNICODE\0' + file['user_comment'].encode(
            'utf-16-be'
        )
    for name, text in file.get('exif', {}).items():
        exif[ExifTags.Base[name]] = text
    for name, text in file.get('png', {}).items():
        (info.add_text if text.isascii() else info.add_itxt)(name, text)
    if 'xmp' in file:
        info.add_itxt('XML:com.adobe.xmp', RDF.format(file['xmp']))
    endings = {'xmp_webp': 'webp', 'jpeg_comment': 'jpg', 'user_comment': 'jpg', 'exif': 'jpg'}
    path = folder / f'x.{next((ending for name, ending in endings.items() if name in file), "png")}'
    if path.suffix == '.webp':
        image.save(path, xmp=RDF.format(file['xmp_webp']).encode())
    elif path.suffix == '.jpg':
        image.save(path, exif=exif.tobytes(), comment=file.get('jpeg_comment', '').encode())
    else:
        image.save(path, pnginfo=info)
    return path


@pytest.mark.parametrize('case', cases('comfyui_as_run'))
def test_a_graph_as_it_was_run(case):
    text = graph_prompt(case['graph'])
    assert (text and clean.stable_diffusion(text)) == case['expected']


@pytest.mark.parametrize('case', cases('comfyui_as_drawn'))
def test_a_graph_as_it_was_drawn(case):
    text = workflow_prompt(case['graph'])
    assert (text and clean.stable_diffusion(text)) == case['expected']


@pytest.mark.parametrize('case', cases('metadata'))
def test_a_file(case, tmp_path):
    found = find_prompt(written(case['file'], tmp_path), ('metadata',))
    assert (found and found.prompt) == case['expected']


@pytest.mark.parametrize('case', cases('clean'))
def test_a_text(case):
    assert getattr(clean, case.get('reader', 'stable_diffusion'))(case['text']) == case['expected']
