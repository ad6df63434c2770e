"""AGIQA-3K's official download becomes a table, or nothing is written and the user's own file is named."""

import pandas as pd
import pytest
from PIL import Image

from pyiqa_moeagiqa.data.agiqa3k import prepare
from pyiqa_moeagiqa.data.table import TableError, read_mos_table

OFFICIAL = ['name', 'prompt', 'adj1', 'adj2', 'style', 'mos_quality', 'std_quality', 'mos_align', 'std_align']
PROMPTS = [f'prompt {place}' for place in range(9)] + ['None']


@pytest.fixture
def source(tmp_path):
    """A made-up download: two generators' images for ten prompts, with the official columns."""
    folder, rows = tmp_path / 'download', []
    (folder / 'images').mkdir(parents=True)
    for generator in ('AttnGAN_normal', 'sd1.5_high'):
        for place, prompt in enumerate(PROMPTS):
            name = f'{generator}_{place:03}.jpg'
            Image.new('RGB', (8, 8), (place, 0, 0)).save(folder / 'images' / name)
            rows.append([name, prompt, '', '', '', 0.5 * place, 0.1, 5 - 0.5 * place, 0.2])
    pd.DataFrame(rows, columns=OFFICIAL).to_csv(folder / 'data.csv', index=False)
    return folder


def change(source, column, row, value):
    """Put another value into the official file; ``row`` as an editor counts."""
    table = pd.read_csv(source / 'data.csv', dtype=str, keep_default_na=False)
    table.loc[row - 2, column] = value
    table.to_csv(source / 'data.csv', index=False)


def test_the_table_can_be_trained_on(source, tmp_path):
    output = tmp_path / 'datasets' / 'agiqa3k.csv'
    prepare(source, output)
    table = read_mos_table(output, None, ['quality', 'alignment'], (0, 5))
    assert table['prompt'].tolist() == PROMPTS * 2
    assert table['quality'].tolist()[:3] == [0, 0.5, 1]
    assert table['alignment'].tolist()[:3] == [5, 4.5, 4]
    assert table['generator'].unique().tolist() == ['AttnGAN_normal', 'sd1.5_high']
    assert [path.name for path in output.parent.iterdir()] == ['agiqa3k.csv']


def test_a_split_by_prompt_has_no_prompt_on_two_sides(source, tmp_path):
    table = prepare(source, tmp_path / 'a.csv', 'prompt', seed=1)
    assert set(table['split']) == {'train', 'val', 'test'}
    assert (table.groupby('prompt')['split'].nunique() == 1).all()


def test_a_split_by_image_tears_prompts_apart(source, tmp_path):
    table = prepare(source, tmp_path / 'a.csv', 'image', seed=1)
    assert (table.groupby('prompt')['split'].nunique() > 1).any()


def test_the_same_seed_writes_the_same_file(source, tmp_path):
    written = []
    for seed in (1, 1, 2):
        prepare(source, tmp_path / 'a.csv', seed=seed)
        written.append((tmp_path / 'a.csv').read_bytes())
    assert written[0] == written[1] != written[2]


WRONG = {
    'no such image': ('name', 'gone_000.jpg', "there is no such image below .*download in row 5 \\('gone_000.jpg'\\)"),
    'image twice': ('name', 'AttnGAN_normal_000.jpg', 'the same image stands twice in rows 2 .*, 5 '),
    'MOS out of range': ('mos_quality', '5.5', "column 'mos_quality' is outside 0 to 5 in row 5 \\('5.5'\\)"),
    'MOS missing': ('mos_align', '', "column 'mos_align' holds no number in row 5 \\(''\\)"),
    'deviation missing': ('std_align', 'x', "column 'std_align' holds no number in row 5 \\('x'\\)"),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_wrong_row_is_named_by_the_users_own_file_and_nothing_is_written(source, tmp_path, name):
    column, value, words = WRONG[name]
    change(source, column, 5, value)
    with pytest.raises(TableError, match=words) as error:
        prepare(source, tmp_path / 'datasets' / 'a.csv')
    assert str(error.value).startswith(f'{source / "data.csv"}: ')
    assert 'part' not in str(error.value)
    assert not (tmp_path / 'datasets').exists()


def test_a_missing_official_column_is_named(source, tmp_path):
    pd.read_csv(source / 'data.csv').drop(columns='mos_align').to_csv(source / 'data.csv', index=False)
    with pytest.raises(TableError, match=r"data\.csv: column 'mos_align' is missing"):
        prepare(source, tmp_path / 'a.csv')


def test_a_folder_without_the_official_file_is_named(tmp_path):
    with pytest.raises(TableError, match=r'data\.csv: there is no such file'):
        prepare(tmp_path, tmp_path / 'a.csv')


def test_an_output_that_cannot_be_written_is_named_and_nothing_is_left(source, tmp_path):
    (tmp_path / 'a.csv').mkdir()
    with pytest.raises(TableError, match=r'a\.csv: it cannot be written \(Is a directory\)'):
        prepare(source, tmp_path / 'a.csv')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.csv', 'download']


def test_an_output_with_another_ending_is_refused(source, tmp_path):
    with pytest.raises(TableError, match=r'a\.parquet: the table to write must end in \.csv'):
        prepare(source, tmp_path / 'a.parquet')


def test_the_real_annotations_become_a_table(real_data, tmp_path):
    table = prepare(real_data / 'agiqa3k_part', tmp_path / 'a.csv')
    assert len(table) == 2384
    assert table['prompt'].nunique() == 240
    assert table['generator'].nunique() == 10
    assert len(read_mos_table(tmp_path / 'a.csv', None, ['quality', 'alignment'], (0, 5))) == 2384
