"""Files made to hurt: each has no prompt, soon, and without an exception."""

import json
import time
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from written import INFOTEXT, LISTED, XMP, ksampler, node, png, with_comment, with_xmp

from pyiqa_moeagiqa.prompts import clean, metadata_prompt
from pyiqa_moeagiqa.prompts.comfyui import graph_prompt, read_graph
from pyiqa_moeagiqa.prompts.comfyui_values import OPEN
from pyiqa_moeagiqa.prompts.comfyui_words import Reader

BOMB = zlib.compress(b'a' * (200 << 20))
DEEP = '[' * 100_000
ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>' + XMP.format(
    '<xmp:CreatorTool>Draw Things</xmp:CreatorTool>' + LISTED.format('dc:description', '&b;')
)


def chunk(path, kind, data):
    info = PngInfo()
    info.add(kind, data)
    Image.new('RGB', (32, 32)).save(path, pnginfo=info)
    return path


CASES = {
    'a compressed text of 200 MB': lambda path: chunk(path, b'zTXt', b'parameters\0\0' + BOMB),
    'an international one': lambda path: chunk(path, b'iTXt', b'parameters\0\1\0\0\0' + BOMB),
    'a compressed text that is none': lambda path: chunk(path, b'zTXt', b'parameters\0\0' + b'no zlib'),
    'an international text without its parts': lambda path: chunk(path, b'iTXt', b'parameters\0'),
    'deep JSON': lambda path: png(path, parameters=DEEP, prompt='{"a":' * 50_000, Comment='{"uc":' + DEEP),
    'long JSON': lambda path: png(path, prompt=json.dumps({'x': 'y' * (5 << 20)})),
    'a graph in a long chain': lambda path: png(
        path,
        prompt=json.dumps(
            {'a': ksampler('0')} | {str(n): node('ConditioningSetMask', conditioning=[str(n + 1), 0]) for n in range(30_000)}
        ),
    ),
    'JSON of the wrong kind': lambda path: png(
        path, prompt='{"3": {"inputs": {"positive": {"a": 1}, "seed": [1]}}}', sd__metadata='{"image": {"prompt": [1, null]}}',
        invokeai_metadata='{"positive_prompt": ["a"]}', Comment='{"uc": 1, "v4_prompt": {"caption": {"char_captions": {}}}}',
        parameters='{"sui_image_params": "x"}', workflow='{"nodes": [3], "links": 7}',
    ),
    'a comment that is no text': lambda path: with_comment(path.with_suffix('.jpg'), b'UNICODE\0\xd8\0\xff'),
    'EXIF that is none': lambda path: chunk(path, b'eXIf', b'MM\0*\xff\xff\xff\xff'),
    'XML whose entities grow': lambda path: png(path, **{'XML:com.adobe.xmp': ENTITIES}),
    'XML that is none': lambda path: with_xmp(path, '<dc:description>'),
}  # fmt: skip


@pytest.mark.parametrize('name', CASES)
def test_a_hostile_file_has_no_prompt(tmp_path, name):
    assert metadata_prompt(CASES[name](tmp_path / 'a.png')) is None


def test_what_is_damaged_does_not_hide_what_is_whole(tmp_path):
    path = png(tmp_path / 'a.png', parameters=INFOTEXT, prompt=DEEP, invokeai_metadata='{', Comment='{"a":' * 50_000)
    assert metadata_prompt(path)[0] == 'a red cat, snow'


@pytest.mark.parametrize('data', [b'', b'\x89PNG\r\n\x1a\n', b'no image', b'\xff\xd8\xff\xe1\xff\xffExif\0\0'])
def test_what_is_no_image_has_no_prompt(tmp_path, data):
    (tmp_path / 'a.png').write_bytes(data)
    assert metadata_prompt(tmp_path / 'a.png') is None
    assert metadata_prompt(tmp_path / 'gone.png') is None


def test_a_file_cut_behind_its_texts_still_has_them(tmp_path):
    path = png(tmp_path / 'a.png', parameters=INFOTEXT)
    path.write_bytes(path.read_bytes()[:-40])
    assert metadata_prompt(path)[0] == 'a red cat, snow'


def test_descriptions_in_descriptions_take_no_longer_than_their_length(tmp_path):
    def seconds(times):
        path = with_xmp(tmp_path / f'{times}.png', '<dc:description>' * times + '</dc:description>' * times)
        start = time.perf_counter()
        assert metadata_prompt(path) is None
        return time.perf_counter() - start

    assert seconds(20_000) < 2  # all text below each of them: 18 s


def encoded(text):
    return {'3': ksampler('6'), '6': node('CLIPTextEncode', text=text)}


LONG = 'a b ' * (clean.LONGEST_PROMPT // 4)
BLOWN_UP = {
    'replaced': {'r': node('StringReplace', string='a' * 19_000, find='a', replace='b' * 19_000)},
    'filled': {'r': node('StringFormat', f_string='{a}' * 6000, **{'values.a': LONG})},
    'joined by much': {'r': node('Text Concatenate', delimiter='x' * (1 << 20), **{f'text_{n}': f'word {n}' for n in range(2000)})},
    'joined again and again': {'r': node('Text Concatenate', text_a=['r0', 0], text_b=['r1', 0])}
    | {f'r{n}': node('Text Concatenate', text_a=[f'r{n + 1}', 0], text_b=[f'r{n + 2}', 0], delimiter=f'{n}') for n in range(60)}
    | {'r60': node('S', text='one'), 'r61': node('S', text='two')},
}  # fmt: skip


@pytest.mark.parametrize('name', BLOWN_UP)
def test_texts_that_grow_are_given_up(name):
    found = graph_prompt(encoded(['r', 0]) | BLOWN_UP[name])
    assert len(found or '') <= clean.LONGEST_PROMPT
    assert found is None


def test_all_that_is_joined_in_a_graph_is_bounded():
    nodes = {str(n): node('Text Concatenate', text_a=['long', 0], text_b=f'number {n}') for n in range(2000)}
    reader = Reader(nodes | {'long': node('S', text='x y' * 6000)} | {'all': node('C', **{f'conditioning_{n}': [str(n), 0] for n in range(2000)})})  # fmt: skip
    words = [reader.of_input('all', f'conditioning_{n}') for n in range(2000)]
    assert words[0].texts
    assert words[-1] == OPEN


@pytest.mark.parametrize('part', ['/*', '/* ', '{|', '__', '<!', '://', '{{', '//'])
def test_no_text_of_a_graph_takes_for_ever(part):
    text = part * (clean.LONGEST_PROMPT // len(part))
    start = time.perf_counter()
    found = read_graph(encoded(['t', 0]) | {'t': node('DPRandomGenerator', text=text), 's': node('ShowText|pysssss', text=['t', 0], text_0='shown')})  # fmt: skip
    clean.stable_diffusion(found.prompt or '')
    assert time.perf_counter() - start < 2


def test_names_that_are_none_are_not_read():
    assert (
        graph_prompt(
            encoded(['t', 0])
            | {'t': node('X' * (1 << 20), **{'a_' * (1 << 19): 'a cat', 'on_true' + '_a' * 99: 'a cat'})}
        )
        is None
    )
