"""Prompts that are looked for: in tables of folders, in files beside images, in metadata."""

import builtins
import os
from collections import Counter

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from pyiqa_moeagiqa.scoring.sources import Item, SourceError, find_items, require_prompt, sources_line, tallied

NOWHERE = 'there is no prompt for it: not in metadata.jsonl or metadata.csv of its folder, not in a text file beside it, not in its metadata'  # fmt: skip


@pytest.fixture
def prompted(pictures):
    """a.png with its prompt in all places, b.jpg with one beside it, sub/c.webp with none."""
    info = PngInfo()
    info.add_text('parameters', 'from metadata\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1')
    Image.new('RGB', (40, 40)).save(pictures / 'a.png', pnginfo=info)
    (pictures / 'a.txt').write_text('from sidecar')
    (pictures / 'b.txt').write_text('from sidecar')
    (pictures / 'metadata.jsonl').write_text('{"file_name": "a.png", "text": "from table"}\n')
    return pictures


def found(items, folder):
    return {item.path.relative_to(folder).as_posix(): (item.prompt, item.source) for item in items}


def test_the_order_of_places(prompted):
    assert found(find_items([prompted]), prompted) == {
        'a.png': ('from table', 'metadata.jsonl'),
        'b.jpg': ('from sidecar', 'sidecars'),
        'sub/c.webp': (None, NOWHERE),
    }
    (prompted / 'metadata.jsonl').unlink()
    assert found(find_items([prompted]), prompted)['a.png'] == ('from sidecar', 'sidecars')
    (prompted / 'a.txt').unlink()
    assert found(find_items([prompted]), prompted)['a.png'] == ('from metadata', 'PNG metadata of AUTOMATIC1111')


@pytest.mark.parametrize(
    ('place', 'prompts'),
    [
        ('folder-table', ['from table', None, None]),
        ('sidecar', ['from sidecar', 'from sidecar', None]),
        ('metadata', ['from metadata', None, None]),
        (None, [None, None, None]),
    ],
)
def test_one_place_alone(prompted, place, prompts):
    assert [item.prompt for item in find_items([prompted], prompt_from=place)] == prompts


def test_one_prompt_or_table_for_all_goes_before(prompted):
    (prompted / 'p.csv').write_text('file_name,caption\na.png,A\n')
    assert {item.prompt for item in find_items([prompted], 'mine')} == {'mine'}
    assert found(find_items([prompted], None, prompted / 'p.csv'), prompted) == {
        'a.png': ('A', str(prompted / 'p.csv')),
        'b.jpg': (None, f'there is no prompt for it in {prompted / "p.csv"}'),
        'sub/c.webp': (None, f'there is no prompt for it in {prompted / "p.csv"}'),
    }


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('metadata.jsonl', '{"file_name": "sub/c.webp", "caption": "C", "extra": 1}\n'),
        ('metadata.csv', 'extra,file_name,prompt\n1,sub/c.webp,C\n'),
    ],
)
def test_a_table_of_a_folder_above(pictures, name, text):
    (pictures / name).write_text(text)
    assert found(find_items([pictures]), pictures)['sub/c.webp'] == ('C', name)
    # above what is scored nothing is looked for
    (item,) = find_items([pictures / 'sub'])
    assert item.prompt is None


def test_the_nearest_table_counts_and_others_fill_in(pictures):
    Image.new('RGB', (40, 40)).save(pictures / 'sub' / 'd.png')
    (pictures / 'metadata.jsonl').write_text(
        '{"file_name": "sub/c.webp", "text": "far"}\n{"file_name": "sub/d.png", "text": "far"}\n'
    )
    (pictures / 'sub' / 'metadata.csv').write_text('file_name,text\nc.webp,near\n')
    prompts = {item.path.name: item.prompt for item in find_items([pictures])}
    assert (prompts['c.webp'], prompts['d.png']) == ('near', 'far')


def test_a_table_of_somebody_else_is_passed_over(prompted):
    (prompted / 'metadata.jsonl').write_text('{"camera": "x"}\n')
    assert found(find_items([prompted]), prompted)['a.png'] == ('from sidecar', 'sidecars')


def test_what_is_damaged_is_the_reason_and_no_other_prompt_takes_its_place(prompted):
    (prompted / 'b.txt').write_bytes(b'B\xe4r')
    assert found(find_items([prompted]), prompted)['b.jpg'] == (
        None,
        f'{prompted / "b.txt"} is not UTF-8 text; save it as UTF-8',
    )
    (prompted / 'metadata.jsonl').write_text(
        '{"file_name": "a.png", "text": "x"}\n{"file_name": "a.png", "text": "y"}\n'
    )
    prompt, reason = found(find_items([prompted]), prompted)['a.png']
    assert prompt is None
    assert 'the same path has different prompts in rows 1' in reason


def test_counting_opens_no_file_and_looking_is_lazy(prompted, monkeypatch):
    opened, look = [], builtins.open
    monkeypatch.setattr(builtins, 'open', lambda file, *rest: opened.append(file) or look(file, *rest))
    assert sum(1 for _ in find_items([prompted], prompt_from=None)) == 3
    assert opened == []
    items = find_items([prompted], prompt_from='metadata')
    next(items)
    assert [os.path.basename(path) for path in opened] == ['a.png']


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ((None, None, 'exif'), '--prompt-from exif: it must be one of auto, folder-table, sidecar, metadata'),
        (('a cat', None, 'sidecar'), '--prompt-from sidecar was given with --prompt or --prompts'),
        ((None, 'p.csv', 'metadata'), '--prompt-from metadata was given with'),
    ],
)
def test_misuse(pictures, arguments, words):
    with pytest.raises(SourceError, match=words):
        find_items([pictures], *arguments)


def test_one_prompt_is_enough_and_none_is_too_few(prompted):
    items = require_prompt(find_items([prompted]))
    assert [item.path.name for item in items] == ['a.png', 'b.jpg', 'c.webp']
    with pytest.raises(SourceError, match=r'put a text file beside each image \(.*c.webp: there is no prompt for it'):
        require_prompt(find_items([prompted / 'sub']))


def test_where_they_were_found_in_one_line():
    tally = Counter()
    items = [Item('a', 'x', source='sidecars')] * 2 + [Item('b', None, source='why')]
    assert list(tallied(items, tally)) == items
    assert sources_line(tally) == 'prompts: 2 from sidecars; 1 image has none'
    tally['PNG metadata of ComfyUI'] += 12
    tally[''] += 1
    assert sources_line(tally) == 'prompts: 12 from PNG metadata of ComfyUI, 2 from sidecars; 2 images have none'
