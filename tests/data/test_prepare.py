"""An official download becomes a table, or nothing is written and what is wrong is said by the user's own files."""

import pandas as pd
import pytest
from downloads import GENERATORS, PROMPTS

from pyiqa_moeagiqa.data.info import description
from pyiqa_moeagiqa.data.prepare import prepare
from pyiqa_moeagiqa.data.splits import read_splits
from pyiqa_moeagiqa.data.table import TableError, read_mos_table

IMAGE, PROMPT = [f'image_{n}' for n in range(10)], [f'prompt_{n}' for n in range(10)]


def refused(source, words, name='agiqa3k', **options):
    """Nothing is written, and one sentence says why."""
    output = source.parent / 'datasets' / 'a.csv'
    with pytest.raises(TableError, match=words) as error:
        prepare(name, source, output, **options)
    assert '\n' not in str(error.value)
    assert '.part' not in str(error.value)
    assert not output.parent.exists()


def test_the_table_can_be_trained_on(source, tmp_path):
    output = tmp_path / 'datasets' / 'agiqa3k.csv'
    _, notes = prepare('agiqa3k', source, output)
    table = read_mos_table(output, None, ['quality', 'alignment'], (0, 5))
    assert table['prompt'].tolist() == PROMPTS * 2
    assert table['quality'].tolist()[:3] == [0, 0.5, 1]
    assert table['alignment'].tolist()[:3] == [5, 4.5, 4]
    assert table['generator'].unique().tolist() == ['AttnGAN_normal', 'sd1.5_highcorr']
    assert [path.name for path in output.parent.iterdir()] == ['agiqa3k.csv']
    assert notes == [f'{source / "data.csv"}: 20 of the 2982 published images are annotated.']


SETS = {
    'agiqa1k': (8, ['quality'], [], [f'released_{n}' for n in range(10)]),
    'agiqa3k': (20, ['quality', 'alignment'], ['quality_std', 'alignment_std'], []),
    'aigciqa2023': (24, ['quality', 'authenticity', 'alignment'], [], []),
    'aigiqa20k': (8, ['quality'], [], ['official']),
    'koniq10k': (6, ['quality'], ['quality_std'], ['official']),
}


@pytest.mark.parametrize('name', SETS)
def test_every_set_has_its_columns_and_images(download, tmp_path, name):
    rows, targets, deviations, given = SETS[name]
    prepare(name, download(name), tmp_path / 'a.csv', partial=name == 'aigciqa2023')
    table = read_mos_table(tmp_path / 'a.csv', None, targets, description(name)['mos_range'])
    prompt = [] if name == 'koniq10k' else PROMPT
    style = ['style'] if name == 'agiqa3k' else []
    assert list(table) == ['path', 'prompt', 'generator', *style, *targets, *deviations, *IMAGE, *prompt, *given]
    assert len(table) == rows
    assert set(table[IMAGE + prompt + given].to_numpy().ravel()) <= {'train', 'val', 'test', ''}


def test_splits_are_those_of_the_split_file_by_name(source, tmp_path):
    table = prepare('agiqa3k', source, tmp_path / 'a.csv').table
    word = {'r': 'train', 'v': 'val', 'e': 'test'}
    for kind, columns in (('image', IMAGE), ('prompt', PROMPT)):
        cell = read_splits('agiqa3k')[kind]['sd1.5_highcorr_003.jpg']
        assert table.loc[13, columns].tolist() == [word[letter] for letter in cell]


def test_pictures_of_aigciqa2023_are_found_by_generator(download, tmp_path):
    source = download('aigciqa2023')
    table, notes = prepare('aigciqa2023', source, tmp_path / 'a.csv', partial=True)
    assert table['generator'].tolist() == [name for name in GENERATORS for _ in range(4)]
    assert table['path'][0].endswith('download/Image/Controlnet/000-1.png')
    assert table['path'][17].endswith('download/Image/Stable_Diffusion/000-2.png')
    assert table['quality'][17] == pytest.approx(10 + 1601 / 100)
    assert notes == [f'{source}: 2376 of 2400 rows are left out, because their images are missing.']


def test_pictures_of_aigciqa2023_are_found_by_number(download, tmp_path):
    source = download('aigciqa2023')
    (source / 'Image' / 'allimg').mkdir()
    (source / 'Image' / 'DALLE' / '000-3.png').rename(source / 'Image' / 'allimg' / '402.png')
    table = prepare('aigciqa2023', source, tmp_path / 'a.csv', partial=True).table
    assert table['path'][6].endswith('allimg/402.png')
    assert len(table) == 24


def test_pictures_that_the_split_file_does_not_know_are_in_no_part(download, tmp_path):
    table, notes = prepare('aigiqa20k', download('aigiqa20k'), tmp_path / 'a.csv')
    assert (table.loc[6:, IMAGE + PROMPT] == '').all(axis=None)
    assert (table.loc[:5, IMAGE + PROMPT] != '').all(axis=None)
    assert notes[-1].startswith('2 rows belong to no image or prompt split')


WRONG = {
    'image twice': ('name', 'AttnGAN_normal_000.jpg', r'the same image appears twice in rows 2 .*, 5 '),
    'no prompt': ('prompt', ' ', r"the prompt is empty in row 5 \(' '\)"),
    'MOS out of range': ('mos_quality', '5.5', r"column 'mos_quality' is outside 0 to 5 in row 5 \('5.5'\)"),
    'MOS missing': ('mos_align', '', r"column 'mos_align' holds no number in row 5 \(''\)"),
    'deviation missing': ('std_align', 'x', r"column 'std_align' holds no number in row 5 \('x'\)"),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_row_is_named_by_the_official_files_own_column_and_row(source, change, name):
    column, value, words = WRONG[name]
    change(column, 5, value)
    refused(source, rf'download/data\.csv: {words}')


def test_a_wrong_row_of_the_second_file_is_named_by_that_file(download):
    source = download('aigiqa20k')
    rows = pd.read_csv(source / 'info_val.csv', keep_default_na=False)
    rows.assign(mos=[1, 7]).to_csv(source / 'info_val.csv', index=False)
    refused(source, r"info_val\.csv: column 'mos' is outside 0 to 5 in row 3 \('7'\)", 'aigiqa20k')


def test_more_rows_than_published_are_refused(source, monkeypatch):
    published = description('agiqa3k')
    monkeypatch.setattr('pyiqa_moeagiqa.data.prepare.description', lambda name: published | {'images': 19})
    refused(source, r'data\.csv: it has 20 images, but 19 are published')
    monkeypatch.setattr('pyiqa_moeagiqa.data.prepare.description', lambda name: published | {'prompts': 9})
    refused(source, r'data\.csv: it has 10 prompts, but 9 are published')


def test_missing_images_are_counted_and_the_first_is_named(source):
    for name in ('AttnGAN_normal_003.jpg', 'sd1.5_highcorr_001.jpg'):
        (source / 'images' / name).unlink()
    refused(source, r'2 of 20 images are not in this folder or below it \(the first is AttnGAN_normal_003.jpg')


def test_a_partial_download_leaves_rows_out_when_asked(source, tmp_path):
    (source / 'images' / 'AttnGAN_normal_003.jpg').unlink()
    table, notes = prepare('agiqa3k', source, tmp_path / 'a.csv', partial=True)
    assert len(table) == 19
    assert table['prompt'].tolist() == PROMPTS[:3] + PROMPTS[4:] + PROMPTS
    assert table['image_0'].notna().all()
    assert notes[-1] == f'{source}: 1 of 20 rows are left out, because their images are missing.'


def test_a_partial_download_without_any_image_is_refused(source):
    for image in (source / 'images').iterdir():
        image.unlink()
    refused(source, 'none of the 20 images is in this folder or below it', partial=True)


@pytest.mark.parametrize('damage', ['truncated', 'text'])
@pytest.mark.parametrize('partial', [False, True])
def test_a_damaged_image_is_refused(source, damage, partial):
    image = source / 'images' / 'AttnGAN_normal_004.jpg'
    image.write_bytes(image.read_bytes()[:-20] if damage == 'truncated' else b'not found')
    refused(source, r"the image cannot be read .* in row 6 \('AttnGAN_normal_004.jpg'\)", partial=partial)


def test_two_images_of_one_name_are_refused(source):
    (source / 'small').mkdir()
    (source / 'small' / 'AttnGAN_normal_004.jpg').write_bytes(b'')
    refused(source, r'AttnGAN_normal_004.jpg appears twice \(.*images.*, .*small.*\)')


def test_an_output_that_cannot_be_written_is_named_and_nothing_is_left(source, tmp_path):
    (tmp_path / 'a.csv').mkdir()
    with pytest.raises(TableError, match=r'a\.csv: it cannot be written \(is a folder, not a file\)'):
        prepare('agiqa3k', source, tmp_path / 'a.csv')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.csv', 'download']


def test_an_output_with_another_ending_is_refused(source, tmp_path):
    with pytest.raises(TableError, match=r'a\.parquet: the table to write must end in \.csv'):
        prepare('agiqa3k', source, tmp_path / 'a.parquet')


def test_the_same_download_writes_the_same_file(source, tmp_path):
    for name in ('a.csv', 'b.csv'):
        prepare('agiqa3k', source, tmp_path / name)
    assert (tmp_path / 'a.csv').read_bytes() == (tmp_path / 'b.csv').read_bytes()


def test_the_real_images_become_a_table(prepared_part):
    table = read_mos_table(prepared_part, None, ['quality', 'alignment'], (0, 5))
    assert len(table) == 2384
    assert table['prompt'].nunique() == 240
    assert table['generator'].nunique() == 10
    assert (table.groupby('prompt')[PROMPT].nunique() == 1).all(axis=None)
    assert (table.groupby('prompt')[IMAGE].nunique() > 1).any(axis=None)
