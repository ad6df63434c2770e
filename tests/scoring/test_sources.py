"""Images from files, folders and globs; prompts from one text or a table."""

import os
from pathlib import Path

import pytest
from tables import write_table

from pyiqa_moeagiqa.data.table import TableError
from pyiqa_moeagiqa.images.read import ImageError, read_image
from pyiqa_moeagiqa.scoring.sources import Item, SourceError, find_images, find_items


def names(paths, folder):
    return [path.relative_to(folder).as_posix() for path in paths]


def prompted(paths, table):
    """File name -> prompt, of all items."""
    paths = [str(path) for path in paths]
    return {item.path.name: item.prompt for item in find_items(paths, None, table)}


def test_a_folder_is_searched_through_for_images_only(pictures):
    (pictures / 'notes.txt').write_text('no image')
    (pictures / 'D.PNG').write_bytes(b'')
    assert names(find_images([pictures]), pictures) == ['D.PNG', 'a.png', 'b.jpg', 'sub/c.webp']


@pytest.mark.parametrize(
    ('pattern', 'found'),
    [
        ('*.png', ['a.png']),
        ('?.*', ['a.png', 'b.jpg']),
        ('**/*.webp', ['sub/c.webp']),
        ('su*', ['sub/c.webp']),
        ('*', ['a.png', 'b.jpg', 'sub/c.webp']),
    ],
)
def test_a_pattern_finds_what_a_shell_would_name(pictures, pattern, found):
    assert names(find_images([pictures / pattern]), pictures) == found


def test_a_folder_is_walked_as_its_images_are_asked_for(pictures, monkeypatch):
    entered = []
    scandir = os.scandir
    monkeypatch.setattr(os, 'scandir', lambda path: entered.append(Path(path).name) or scandir(path))
    found = find_images([pictures])
    assert next(found).name == 'a.png'
    assert entered == ['pictures']
    assert [path.name for path in found] == ['b.jpg', 'c.webp']
    assert entered == ['pictures', 'sub']


def test_a_folder_that_cannot_be_listed_is_an_item_to_be_reported(pictures, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == 'sub':
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(os, 'scandir', refuse)
    assert names(find_images([pictures]), pictures) == ['a.png', 'b.jpg', 'sub']
    with pytest.raises(ImageError, match='its images cannot be listed'):
        read_image(pictures / 'sub')


def test_a_name_with_brackets_is_no_pattern(pictures):
    (pictures / 'a.png').rename(pictures / 'a[1].png')
    assert names(find_images([pictures / 'a[1].png']), pictures) == ['a[1].png']


def test_an_image_named_twice_comes_once_in_the_first_place(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    assert list(map(str, find_images(['b.jpg', './b.jpg', pictures, '*.png']))) == ['b.jpg', str(pictures / 'a.png'), str(pictures / 'sub/c.webp')]  # fmt: skip


def test_a_link_that_leads_nowhere_is_kept_to_be_reported(pictures):
    (pictures / 'link.png').symlink_to('gone.png')
    assert names(find_images([pictures / 'link.png']), pictures) == ['link.png']


@pytest.mark.parametrize(
    ('name', 'words'),
    [('gone.png', 'no such file'), ('*.gif', 'matches nothing'), ('empty', 'no images in this folder')],
)
def test_a_path_with_nothing_there_is_named(pictures, name, words):
    (pictures / 'empty').mkdir()
    with pytest.raises(SourceError, match=words) as error:
        list(find_images([pictures / 'a.png', pictures / name]))
    assert str(error.value).startswith(f'{pictures / name}: ')


def test_an_empty_path_is_not_the_working_directory(pictures, monkeypatch):
    monkeypatch.chdir(pictures)
    with pytest.raises(SourceError, match='A path is empty'):
        list(find_images(['']))
    assert len(list(find_images(['.']))) == 3


@pytest.mark.parametrize('name', ['prompts.csv', 'rows.JSONL', 'shard.tar.gz'])
def test_a_table_as_the_only_path_is_no_image(pictures, name):
    (pictures / name).write_text('path,prompt')
    with pytest.raises(SourceError, match=rf'{name}: this is no image; .* --prompts.* --ray local'):
        list(find_images([pictures / name]))
    assert len(list(find_images([pictures / 'a.png', pictures / name]))) == 2  # as a shell expands *


def test_one_prompt_is_for_all_images(pictures):
    assert list(find_items([pictures / 'a.png', pictures / 'b.jpg'], 'None')) == [
        Item(pictures / 'a.png', 'None'),
        Item(pictures / 'b.jpg', 'None'),
    ]


def test_both_kinds_of_prompts_are_refused(pictures):
    with pytest.raises(SourceError, match='either --prompt TEXT for all images or --prompts FILE'):
        find_items([], 'a cat', pictures / 'prompts.csv')


@pytest.mark.parametrize('ending', ['csv', 'jsonl', 'parquet'])
def test_prompts_are_kept_as_text(pictures, ending):
    rows = [('a.png', 'None'), ('b.jpg', 'NA'), ('sub/c.webp', 'a 🐈, "so" cute')]
    table = write_table(pictures / f'prompts.{ending}', rows)
    assert prompted([pictures], table) == {'a.png': 'None', 'b.jpg': 'NA', 'c.webp': 'a 🐈, "so" cute'}


@pytest.mark.parametrize(
    ('place', 'prefix'),
    [('pictures', ''), ('.', 'pictures/'), ('elsewhere', ''), ('elsewhere', '../pictures/'), ('pictures', './')],
)
@pytest.mark.parametrize('scored', ['folder', 'pattern', 'files'])
def test_paths_are_relative_to_the_table_or_to_what_is_scored(pictures, place, prefix, scored):
    (pictures.parent / 'elsewhere').mkdir()
    table = write_table(pictures.parent / place / 'prompts.csv', [(f'{prefix}a.png', 'A'), (f'{prefix}b.jpg', 'B')])
    (pictures / 'sub' / 'c.webp').unlink()
    paths = {'folder': [pictures], 'pattern': [pictures / '?.*'], 'files': [pictures / 'a.png', pictures / 'b.jpg']}
    assert prompted(paths[scored], table) == {'a.png': 'A', 'b.jpg': 'B'}


def test_absolute_paths_are_taken(pictures):
    table = write_table(pictures.parent / 'prompts.csv', [(str(pictures / 'a.png'), 'A')])
    assert prompted([pictures / 'a.png'], table) == {'a.png': 'A'}


def test_a_folder_behind_a_link_is_the_same_folder(pictures):
    (pictures.parent / 'link').symlink_to(pictures)
    table = write_table(pictures / 'prompts.csv', [('a.png', 'A')])
    assert prompted([pictures.parent / 'link' / 'a.png'], table) == {'a.png': 'A'}


def test_two_links_to_one_file_have_their_own_prompts(pictures):
    for name in ('x.png', 'y.png'):
        (pictures / name).symlink_to('a.png')
    table = write_table(pictures / 'prompts.csv', [('x.png', 'X'), ('y.png', 'Y')])
    assert prompted([pictures / 'x.png', pictures / 'y.png'], table) == {'x.png': 'X', 'y.png': 'Y'}


def test_an_image_without_a_row_has_no_prompt(pictures):
    table = write_table(pictures / 'prompts.csv', [('a.png', 'A')])
    assert prompted([pictures], table) == {'a.png': 'A', 'b.jpg': None, 'c.webp': None}


def test_a_row_whose_image_is_nowhere_is_an_item_to_be_reported(pictures):
    table = write_table(pictures.parent / 'prompts.csv', [('pictures/a.png', 'A'), ('pictures/gone.png', 'G')])
    items = find_items([pictures], None, table)
    *_, last = items
    assert last == Item(pictures / 'gone.png', 'G')


def test_rows_for_other_images_do_not_matter_when_single_files_are_scored(pictures):
    table = write_table(pictures / 'prompts.csv', [('a.png', 'A'), ('b.jpg', 'B'), ('gone.png', 'G')])
    assert prompted([pictures / 'a.png'], table) == {'a.png': 'A'}


@pytest.mark.parametrize(
    ('text', 'words'),
    [
        ('path,words\na.png,x\n', "column 'prompt' is missing; there are 'path', 'words'"),
        ('path,prompt\n', 'it has no rows'),
        ('path,prompt\na.png,x\nb.jpg,y\n./a.png,z\n', r"different prompts in rows 2 \('a.png'\), 4 \('./a.png'\)"),
        ('path,prompt\n,x\n', r"there is no path in row 2 \(''\)"),
        (b'path,prompt\na.png,b\xe4r\n', 'row 2 is not UTF-8 text'),
    ],
)
def test_a_table_that_cannot_be_used_is_named_with_its_rows(pictures, text, words):
    table = pictures / 'prompts.csv'
    table.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TableError, match=words) as error:
        prompted([pictures], table)
    assert str(error.value).startswith(f'{table}: ')


def test_a_row_that_stands_twice_with_one_prompt_is_no_clash(pictures):
    table = write_table(pictures / 'prompts.csv', [('a.png', 'A'), ('a.png', 'A')])
    assert prompted([pictures / 'a.png'], table) == {'a.png': 'A'}


def test_files_from_many_folders_find_their_own_prompts(tmp_path):
    rows = [(os.path.join(f'folder{place % 100}', f'{place}.png'), str(place)) for place in range(400)]
    table = write_table(tmp_path / 'prompts.csv', rows)
    images = [tmp_path / path for path, _ in rows]
    for image in images:
        image.parent.mkdir(exist_ok=True)
        image.touch()
    items = find_items(images, None, table)
    assert [item.prompt for item in items] == [prompt for _, prompt in rows]


def touched(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


HIDDEN = (
    *('._a.png', '.thumbs/a.png', '.ipynb_checkpoints/a-checkpoint.png', '__MACOSX/sub/._a.png', '__MACOSX/a.png'),
    *('sub/.b.png', 'sub/@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg', '$RECYCLE.BIN/x.png', 'Thumbs.db', '.DS_Store'),
)


@pytest.mark.parametrize('asked', ['', '*', '**/*.png', '**'])
def test_hidden_and_junk_files_are_left_out(tmp_path, asked):
    touched(tmp_path, 'a.png', 'sub/b.png', *HIDDEN)
    found = [path for path in find_images([tmp_path / asked]) if path.suffix == '.png']
    assert names(found, tmp_path) == ['a.png', 'sub/b.png']


@pytest.mark.parametrize(
    ('named', 'found'),
    [
        ('._a.png', '._a.png'),
        ('.*.png', '._a.png'),
        ('.thumbs', '.thumbs/a.png'),
        ('.thumbs/*', '.thumbs/a.png'),
        ('.thumb*', '.thumbs/a.png'),
        ('__MACOSX', '__MACOSX/a.png'),
        ('__MACOSX/*.png', '__MACOSX/a.png'),
    ],
)
def test_what_is_hidden_is_taken_where_it_is_named(tmp_path, named, found):
    touched(tmp_path, 'a.png', *HIDDEN)
    assert names(find_images([tmp_path / named]), tmp_path) == [found]


def test_a_folder_in_a_hidden_folder_is_searched_through(tmp_path):
    touched(tmp_path / '.cache' / 'run', 'a.png')
    assert names(find_images([tmp_path / '.cache' / 'run']), tmp_path) == ['.cache/run/a.png']


def test_a_folder_with_nothing_but_hidden_images_says_so(tmp_path):
    touched(tmp_path, '._a.png')
    with pytest.raises(SourceError, match=r'no images in this folder \(hidden ones do not count\)'):
        list(find_images([tmp_path]))


@pytest.mark.parametrize(
    ('pattern', 'found'),
    [
        ('out [v1]/cat [seed 1].jpg', ['out [v1]/cat [seed 1].jpg']),
        ('out [v1]/*.jpg', ['out [v1]/cat [seed 1].jpg', 'out [v1]/cat [seed 2].jpg']),
        ('out [v1]/cat [[]seed ?].jpg', ['out [v1]/cat [seed 1].jpg', 'out [v1]/cat [seed 2].jpg']),
        ('out [v1]/cat [seed *].jpg', ['out [v1]/cat [seed 1].jpg', 'out [v1]/cat [seed 2].jpg']),
        ('*/cat [seed 2].jpg', ['out [v1]/cat [seed 2].jpg']),
        ('**/cat [seed 1].jpg', ['out [v1]/cat [seed 1].jpg']),
        ('out [v1]', ['out [v1]/cat [seed 1].jpg', 'out [v1]/cat [seed 2].jpg']),
        ('x[12].png', ['x1.png', 'x2.png']),
        ('o[tu]*/x[!1].png', ['our/x9.png']),
    ],
)
def test_brackets_are_names_and_patterns(tmp_path, monkeypatch, pattern, found):
    touched(tmp_path, 'out [v1]/cat [seed 1].jpg', 'out [v1]/cat [seed 2].jpg', 'x1.png', 'x2.png', 'our/x9.png')
    assert names(find_images([tmp_path / pattern]), tmp_path) == found
    monkeypatch.chdir(tmp_path)
    assert [path.as_posix() for path in find_images([pattern])] == found


def test_a_pattern_as_a_shell_expands_it_is_every_name_in_it(tmp_path):
    folder = touched(tmp_path / 'a[b]', 'cat [seed 1].jpg', 'cat s.jpg')
    assert names(find_images(sorted(folder.iterdir())), folder) == ['cat [seed 1].jpg', 'cat s.jpg']
