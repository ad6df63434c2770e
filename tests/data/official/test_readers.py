"""Each official annotation file as it is read: counts, first rows, and what is particular about it."""

import downloads
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat

from pyiqa_moeagiqa.data.official import agiqa1k, aigciqa2023, koniq10k, read_official
from pyiqa_moeagiqa.data.table import TableError

FACTS = {
    # images, prompts, generators, lowest and highest quality
    'agiqa1k': (1078, 720, 2, 0.0, 5.0),
    'agiqa3k': (2982, 300, 10, 0.0, 4.488741),
    'aigiqa20k': (14000, 13624, 15, 0.12229, 4.981356),
    'koniq10k': (10073, 1, 1, 3.911765, 88.388889),
}


@pytest.mark.parametrize('name', FACTS)
def test_the_real_annotations_are_read(annotations, name):
    table = read_official(name, annotations)
    quality = table['quality'].astype(float)
    counts = [table[column].nunique() for column in ('name', 'prompt', 'generator')]
    assert [len(table), *counts] == [FACTS[name][0], *FACTS[name][:3]]
    assert (quality.min(), quality.max()) == pytest.approx(FACTS[name][3:], abs=1e-5)


def test_the_real_agiqa1k_agrees_with_its_excel_file(annotations):
    table = agiqa1k.read(annotations)
    sheet = pd.read_excel(annotations / 'AGIQA-1K' / 'AIGC_MOS_Zscore.xlsx').set_index('Image')
    sheet = sheet.loc[table['name']]
    assert (sheet['Prompt'].to_numpy() == table['prompt'].to_numpy()).all()
    assert sheet['MOS'].to_numpy() == pytest.approx(table['quality'].to_numpy())


def test_the_real_agiqa1k_has_ten_released_splits(annotations):
    released = agiqa1k.read(annotations)['released']
    for split in range(10):
        assert 862 <= released.str[split].eq('r').sum() <= 864
    assert set(''.join(released)) == {'r', 'e'}


def test_released_splits_train_on_the_first_80_percent_of_each_permutation(download):
    table = read_official('agiqa1k', download('agiqa1k'))
    assert table['released'].tolist() == ['rerererere'] * 2 + ['r' * 10] * 6


def test_a_name_of_agiqa1k_that_stands_for_two_images_is_left_out(download):
    table = read_official('agiqa1k', download('agiqa1k'))
    assert len(table) == 8
    assert agiqa1k.AMBIGUOUS not in set(table['name'])


def test_a_mat_that_is_not_agiqa1ks_is_named(tmp_path):
    savemat(tmp_path / 'AGIQA-1K.mat', {'MOSz': [1.0]})
    with pytest.raises(TableError, match=r'AGIQA-1K\.mat: it is not the official AGIQA-1K\.mat'):
        agiqa1k.read(tmp_path)


def test_the_real_pictures_of_aigciqa2023_agree_with_their_prompts(annotations):
    table = aigciqa2023.read_pictures(annotations)
    assert table['name'].nunique() == len(table) == 2400
    assert table['prompt'].nunique() == 100
    assert table.loc[401, ['name', 'other_name', 'prompt']].tolist() == [
        'DALLE/000-2.png',
        'allimg/401.png',
        'Basic, Animals, a corgi',
    ]


def test_the_three_mos_of_aigciqa2023_are_told_apart(download):
    table = aigciqa2023.read(download('aigciqa2023'))
    assert table.loc[5, ['quality', 'authenticity', 'alignment']].tolist() == pytest.approx([10.05, 20.05, 30.05])
    assert table.loc[5, ['name', 'prompt']].tolist() == ['Controlnet/001-2.png', 'Basic, Animals, animal 1']
    assert 'quality_std' not in table


def test_deviations_of_aigciqa2023_are_read_where_they_are(download):
    source = download('aigciqa2023')
    (source / 'DATA' / 'STD').mkdir()
    for number in (1, 2, 3):
        savemat(source / 'DATA' / 'STD' / f'SD{number}.mat', {'SD': np.full((2400, 1), number / 2)})
    deviations = aigciqa2023.read(source)[['quality_std', 'authenticity_std', 'alignment_std']]
    assert deviations.loc[7].tolist() == [0.5, 1, 1.5]


def test_a_picture_of_aigciqa2023_at_anothers_place_is_refused(download):
    source = download('aigciqa2023')
    sheet = pd.read_excel(source / 'pic-index.xlsx', header=None)
    sheet.loc[[0, 4], 1] = ['001-1.png', '000-1.png']
    downloads.write_sheet(source / 'pic-index.xlsx', sheet.to_numpy())
    with pytest.raises(TableError, match=r"pic-index\.xlsx: .* in rows 1 \('001-1\.png'\), 5 \('000-1\.png'\)"):
        aigciqa2023.read(source)


def test_a_missing_prompt_of_aigciqa2023_is_refused(download):
    source = download('aigciqa2023')
    downloads.write_sheet(source / 'AIGCIQA2023_Prompts.xlsx', [('a', 'b', 'c')] * 99)
    with pytest.raises(TableError, match=r'AIGCIQA2023_Prompts\.xlsx: it has 99 prompts, 100 are needed'):
        aigciqa2023.read(source)


def test_the_file_is_the_official_split_of_aigiqa20k(download):
    assert read_official('aigiqa20k', download('aigiqa20k'))['official'].tolist() == ['r'] * 6 + ['v'] * 2


def test_aigiqa20k_may_have_its_training_file_alone(download):
    source = download('aigiqa20k')
    (source / 'info_val.csv').unlink()
    assert read_official('aigiqa20k', source)['official'].tolist() == ['r'] * 6


def test_the_sets_of_koniq10k_are_its_official_split(download):
    source = download('koniq10k')
    assert koniq10k.read(source)['official'].tolist() == ['r', 'v', 'e'] * 2
    file = source / 'koniq10k_distributions_sets.csv'
    file.write_text(file.read_text().replace('validation', 'valid'))
    with pytest.raises(TableError, match=r"column 'set' is none of training, .* in rows 3 \('valid'\), 6 \('valid'\)"):
        koniq10k.read(source)


def test_a_missing_official_column_is_named(source):
    pd.read_csv(source / 'data.csv').drop(columns='mos_align').to_csv(source / 'data.csv', index=False)
    with pytest.raises(TableError, match=r"data\.csv: column 'mos_align' is missing"):
        read_official('agiqa3k', source)
