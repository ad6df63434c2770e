"""Every software's metadata, written as it writes them, give the prompt and nothing else."""

import io
import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from written import (
    DEFAULT_GRAPH,
    DREAM,
    FOOOCUS,
    INFOTEXT,
    INVOKEAI,
    INVOKEAI_FLUX,
    LISTED,
    MAKE,
    MAKER_NOTE,
    MODEL,
    NOVELAI,
    NOVELAI_COMMENT,
    SD_METADATA,
    SOFTWARE,
    SWARMUI,
    USER_COMMENT,
    automatic1111_comment,
    png,
    with_comment,
    with_xmp,
)

from pyiqa_moeagiqa.prompts import metadata_prompt, prompt_in_image


def test_automatic1111_in_png(tmp_path):
    assert metadata_prompt(png(tmp_path / 'a.png', parameters=INFOTEXT)) == (
        'a red cat, snow',
        'PNG metadata of AUTOMATIC1111',
    )


@pytest.mark.parametrize('ending', ['jpg', 'webp'])
@pytest.mark.parametrize(
    'comment',
    [
        automatic1111_comment(),
        b'UNICODE\0' + INFOTEXT.encode('utf-16-le'),  # as ImageSharp and others with Intel's order write it
        b'ASCII\0\0\0' + INFOTEXT.encode(),
        bytes(8) + INFOTEXT.encode(),
    ],
    ids=['big', 'little', 'ascii', 'no code'],
)
def test_automatic1111_in_exif(tmp_path, ending, comment):
    prompt, source = metadata_prompt(with_comment(tmp_path / f'a.{ending}', comment))
    assert prompt == 'a red cat, snow'
    assert source == f'{"JPEG" if ending == "jpg" else "WEBP"} metadata of AUTOMATIC1111'


def test_automatic1111_without_settings_and_with_other_letters(tmp_path):
    for text, prompt in (
        ('a cat', 'a cat'),
        ('a cat\nin the snow\nNegative prompt: dog', 'a cat in the snow'),
        ('猫がいる\nNegative prompt: 犬\nSteps: 20, Sampler: Euler a', '猫がいる'),
        ('Negative prompt: dog\nSteps: 20, Sampler: Euler a', None),
    ):
        found = metadata_prompt(png(tmp_path / 'a.png', parameters=text))
        assert (found and found[0]) == prompt


def test_utf8_in_a_plain_chunk_is_read_as_such(tmp_path):
    # PNG's tEXt is Latin-1; writers that are not Python put UTF-8 there
    info = PngInfo()
    info.add(b'tEXt', b'parameters\0' + 'ein Bär, 猫\nSteps: 20, Sampler: x'.encode())
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.png', pnginfo=info)
    assert metadata_prompt(tmp_path / 'a.png')[0] == 'ein Bär, 猫'
    assert metadata_prompt(png(tmp_path / 'b.png', parameters='ein Bär'))[0] == 'ein Bär'


def test_comfyui_in_png_and_webp(tmp_path):
    graph = json.dumps(DEFAULT_GRAPH)
    assert metadata_prompt(png(tmp_path / 'a.png', prompt=graph)) == ('a cat in the snow', 'PNG metadata of ComfyUI')
    exif = Image.Exif()  # comfy_extras/nodes_images.py: SaveAnimatedWEBP
    exif[MODEL], exif[MAKE] = f'prompt:{graph}', 'workflow:{"nodes": [], "links": []}'
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.webp', exif=exif)
    assert metadata_prompt(tmp_path / 'a.webp') == ('a cat in the snow', 'WEBP metadata of ComfyUI')


def test_comfyui_in_a_comment(tmp_path):
    # ComfyUI_ExtendedImageFormats' README: UserComment {"prompt": ..., "workflow": ...}; Civitai's generator: the graph itself
    for comment in ({'prompt': DEFAULT_GRAPH, 'workflow': {}}, DEFAULT_GRAPH | {'extra': {}, 'extraMetadata': '{}'}):
        path = with_comment(tmp_path / 'a.jpg', automatic1111_comment(json.dumps(comment)))
        assert metadata_prompt(path) == ('a cat in the snow', 'JPEG metadata of ComfyUI')


def test_swarmui(tmp_path):
    assert metadata_prompt(png(tmp_path / 'a.png', parameters=SWARMUI)) == (
        'a cat whiskers',
        'PNG metadata of SwarmUI',
    )
    comment = b'UNICODE\0' + SWARMUI.encode('utf-16-le')
    assert metadata_prompt(with_comment(tmp_path / 'a.jpg', comment)) == ('a cat whiskers', 'JPEG metadata of SwarmUI')


def test_fooocus(tmp_path):
    for scheme, text in (('fooocus', FOOOCUS), ('a1111', INFOTEXT)):
        prompt, source = metadata_prompt(png(tmp_path / 'a.png', parameters=text, fooocus_scheme=scheme))
        assert (prompt, source) == (
            'a cat' if scheme == 'fooocus' else 'a red cat, snow',
            'PNG metadata of Fooocus',
        )
    exif = Image.Exif()  # modules/meta_parser.py: get_exif
    exif[USER_COMMENT], exif[SOFTWARE], exif[MAKER_NOTE] = FOOOCUS, 'Fooocus v2.5.5', 'fooocus'
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.jpg', exif=exif)
    assert metadata_prompt(tmp_path / 'a.jpg') == ('a cat', 'JPEG metadata of Fooocus')


@pytest.mark.parametrize(
    ('chunk', 'text', 'prompt'),
    [
        ('invokeai_metadata', json.dumps(INVOKEAI), 'a fluffy cat'),
        ('invokeai_metadata', json.dumps(INVOKEAI_FLUX), 'a cat'),
        ('sd__metadata', json.dumps(SD_METADATA), 'a cat'),
        ('sd__metadata', json.dumps({'image': {'prompt': 'a cat [dog]'}}), 'a cat'),
        ('Dream', DREAM, 'a cat'),
        ('Dream', 'a cat -s 50 -S 1 -W 512', 'a cat'),
        ('Dream', '"a "red" cat\nin snow" -s 50', 'a "red" cat in snow'),
    ],
)
def test_invokeai(tmp_path, chunk, text, prompt):
    found, source = metadata_prompt(png(tmp_path / 'a.png', **{chunk: text}))
    assert found == prompt
    assert source.startswith('PNG metadata of InvokeAI')


def test_novelai(tmp_path):
    first = png(tmp_path / 'a.png', **NOVELAI, Description='{a cat}, [snow]', Comment=json.dumps(NOVELAI_COMMENT))
    assert metadata_prompt(first) == ('a cat, snow', 'PNG metadata of NovelAI')
    characters = [{'char_caption': 'girl, umbrella', 'centers': [{'x': 0.5, 'y': 0.5}]}]
    caption = {'caption': {'base_caption': '1.3::rain::, night', 'char_captions': characters}, 'use_coords': False}
    comment = NOVELAI_COMMENT | {'prompt': 'rain, night', 'v4_prompt': caption}
    fourth = png(tmp_path / 'b.png', **NOVELAI, Description='rain, night', Comment=json.dumps(comment))
    assert metadata_prompt(fourth)[0] == 'rain, night, girl, umbrella'


def test_draw_things(tmp_path):
    # Draw Things' XMP: JSON with "c" and "uc", and a description of prompt, -negative and settings
    values = json.dumps(
        {'c': 'a (red:1.2) cat', 'uc': 'dog', 'model': 'flux_1_schnell_q5p.ckpt', 'seed': 1, 'steps': 4}
    )
    tool = '<xmp:CreatorTool>Draw Things</xmp:CreatorTool>'
    description = LISTED.format('dc:description', 'a cat&#xA;-dog&#xA;Steps: 4, Sampler: Euler A, Guidance Scale: 1.0')
    both = with_xmp(tmp_path / 'a.png', description, tool, LISTED.format('exif:UserComment', values))
    assert metadata_prompt(both) == ('a red cat', 'PNG metadata of Draw Things')
    assert metadata_prompt(with_xmp(tmp_path / 'b.png', description, tool))[0] == 'a cat'
    comment = with_comment(tmp_path / 'c.jpg', b'ASCII\0\0\0' + values.encode())
    assert metadata_prompt(comment) == ('a red cat', 'JPEG metadata of Draw Things')


MIDJOURNEY = 'https://s.mj.run/x a cat::2 in snow --ar 2:1 --no dog --v 6 Job ID: a7421d2f-b262-44f9-977c-ac23e9c7d3e3'


def test_midjourney(tmp_path):
    # what exiftool shows of files from midjourney.com: Description, Author, Creation Time, and XMP
    path = png(tmp_path / 'a.png', Description=MIDJOURNEY, Author='someone')
    assert metadata_prompt(path) == ('a cat in snow', 'PNG metadata of Midjourney')
    path = with_xmp(tmp_path / 'b.png', LISTED.format('dc:description', MIDJOURNEY))
    assert metadata_prompt(path)[0] == 'a cat in snow'


def test_what_is_no_prompt_is_not_taken_for_one(tmp_path):
    for path in (
        png(tmp_path / 'a.png', Description='Gemini Restaurant bill', Comment='Created with GIMP', Software='GIMP'),
        png(tmp_path / 'b.png', parameters='{"settings": 3}', prompt='please pay', workflow='back office'),
        with_xmp(tmp_path / 'c.png', LISTED.format('dc:description', 'Our cat in Rome')),
        with_comment(tmp_path / 'd.jpg', b'ASCII\0\0\0Our cat in Rome'),
        png(tmp_path / 'e.png', parameters='a cat ' * 5000),
    ):
        assert metadata_prompt(path) is None, path.name


def test_content_credentials_do_no_harm(tmp_path):
    # C2PA's box in a PNG, its specification, A.3.1: a chunk caBX; here with what is no box at all
    info = PngInfo()
    info.add(b'caBX', b'\0\0\0\x1ajumb' + bytes(500))
    info.add_text('parameters', INFOTEXT)
    Image.new('RGB', (32, 32)).save(tmp_path / 'a.png', pnginfo=info)
    assert metadata_prompt(tmp_path / 'a.png')[0] == 'a red cat, snow'


def test_texts_behind_the_pixels_are_found(tmp_path):
    info = PngInfo()
    info.add_text('parameters', INFOTEXT, zip=True)
    buffer = io.BytesIO()
    Image.new('RGB', (32, 32)).save(buffer, 'PNG', pnginfo=info)
    data = buffer.getvalue()
    start = data.index(b'zTXt') - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], 'big')
    without, chunk, last = data[:start] + data[end:-12], data[start:end], data[-12:]
    (tmp_path / 'a.png').write_bytes(without + chunk + last)
    with Image.open(tmp_path / 'a.png') as image:
        assert 'parameters' not in image.info
        assert prompt_in_image(image)[0] == 'a red cat, snow'
    assert metadata_prompt(tmp_path / 'a.png')[0] == 'a red cat, snow'


def test_no_pixel_is_decoded_where_there_is_no_text(tmp_path, monkeypatch):
    path = png(tmp_path / 'a.png')
    monkeypatch.setattr('PIL.PngImagePlugin.PngImageFile.load', lambda self: pytest.fail('pixels were decoded'))
    assert metadata_prompt(path) is None


def test_the_library_sd_parsers_reads_the_same_where_it_reads(tmp_path):
    library = pytest.importorskip('sd_parsers', reason='sd-parsers is not installed')
    plain = INFOTEXT.replace('(red:1.2)', 'red').replace(', <lora:film:0.8> snow', '')
    workflow = json.dumps({'links': [[1, 6, 0, 3, 1, 'CONDITIONING'], [2, 7, 0, 3, 2, 'CONDITIONING']]})
    novelai = {**NOVELAI, 'Description': 'a cat', 'Comment': json.dumps(NOVELAI_COMMENT)}
    for number, path in enumerate(
        (
            png(tmp_path / 'a.png', parameters=plain),
            with_comment(tmp_path / 'b.jpg', automatic1111_comment(plain)),
            png(tmp_path / 'c.png', prompt=json.dumps(DEFAULT_GRAPH), workflow=workflow),
            png(tmp_path / 'd.png', parameters=FOOOCUS, fooocus_scheme='fooocus'),
            png(tmp_path / 'e.png', sd__metadata=json.dumps(SD_METADATA)),
            png(tmp_path / 'f.png', Dream=DREAM),
            png(tmp_path / 'g.png', **novelai),
        )
    ):
        theirs = library.ParserManager().parse(path).prompts
        assert [prompt.value for prompt in theirs] == [metadata_prompt(path)[0]], number
