"""Made-up official downloads: the annotation files in their official form, names that the split files know, tiny images.

Every picture has a colour of its own, so that no two are the same.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pyiqa_moeagiqa.data.splits import read_splits

PROMPTS = [f'prompt {place}' for place in range(9)] + ['None']
GENERATORS = ['Controlnet', 'DALLE', 'Glide', 'Lafite', 'stable-diffusion', 'Unidiffuser']
AGIQA3K = ['name', 'prompt', 'adj1', 'adj2', 'style', 'mos_quality', 'std_quality', 'mos_align', 'std_align']


def draw(folder: Path, names: Iterable[str]) -> None:
    """One picture of 8 x 8 per name."""
    for place, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8), (place % 16 * 16, place // 16 * 16, 0)).save(folder / name)


def agiqa3k(folder: Path, generators: Iterable[str] = ('AttnGAN_normal', 'sd1.5_highcorr')) -> None:
    """Some generators' pictures of ten prompts."""
    rows = []
    for generator in generators:
        for place, prompt in enumerate(PROMPTS):
            quality = 0.5 * place
            rows.append(
                [
                    f'{generator}_{place:03}.jpg',
                    prompt,
                    '',
                    '',
                    'anime style' if place % 2 else '',
                    quality,
                    0.1,
                    5 - quality,
                    0.2,
                ]
            )
    table = pd.DataFrame(rows, columns=AGIQA3K)
    draw(folder / 'images', table['name'])
    table.to_csv(folder / 'data.csv', index=False)


def agiqa1k(folder: Path) -> None:
    """Ten pictures, the last name twice, as in the official file; split k has the images in reverse order if k is odd."""
    import h5py

    names = [*read_splits('agiqa1k').index[:8], 'dreamStudio_8_9_1_1.jpg', 'dreamStudio_8_9_1_1.jpg']
    order = np.arange(1, 11)[:, None]
    with h5py.File(folder / 'AGIQA-1K.mat', 'w') as mat:
        for key, texts in {'im_names': names, 'text_prompt': PROMPTS}.items():
            cells = [mat.create_dataset(f'#refs#/{key}{n}', data=text_of(text)).ref for n, text in enumerate(texts)]
            mat.create_dataset(key, data=np.array([cells], dtype=h5py.ref_dtype), dtype=h5py.ref_dtype)
        mat['subjective_scores'] = np.linspace(0, 5, 10)[None]
        mat['index'] = np.hstack([order, order[::-1]] * 6).astype(float)
    draw(folder / 'file', dict.fromkeys(names))


def text_of(text: str) -> np.ndarray:
    return np.array([[ord(letter)] for letter in text], dtype=np.uint16)


def aigciqa2023(folder: Path) -> None:
    """All annotations; pictures of the first four rows of every generator, in folders that are spelt in their own way."""
    from scipy.io import savemat

    pictures = [(generator, f'{n:03}-{c}.png') for generator in GENERATORS for n in range(100) for c in range(1, 5)]
    write_sheet(folder / 'pic-index.xlsx', pictures)
    write_sheet(folder / 'AIGCIQA2023_Prompts.xlsx', [('Basic', 'Animals', f'animal {n}') for n in range(100)])
    for number, lowest in ((1, 10), (2, 20), (3, 30)):
        mos = lowest + np.arange(2400)[:, None] / 100
        (folder / 'DATA' / 'MOS').mkdir(parents=True, exist_ok=True)
        savemat(folder / 'DATA' / 'MOS' / f'mosz{number}.mat', {'MOSz': mos})
    spelt = {'stable-diffusion': 'Stable_Diffusion'}
    draw(folder / 'Image', [f'{spelt.get(g, g)}/{name}' for g, name in pictures if name.startswith('000')])


def write_sheet(path: Path, rows: Iterable[Iterable[str]]) -> None:
    pd.DataFrame(rows).to_excel(path, header=False, index=False)


def aigiqa20k(folder: Path) -> None:
    """Six annotated pictures for training and two for validation, which no split file knows."""
    names = list(read_splits('aigiqa20k').index[:6])
    rows = pd.DataFrame({'name': names, 'prompt': PROMPTS[:6], 'mos': np.arange(6) / 2})
    rows.to_csv(folder / 'info_train.csv', index=False)
    later = pd.DataFrame({'name': ['DALLE2_9998.png', 'LCM_SD1.5_9999.png'], 'prompt': PROMPTS[8:], 'mos': [1, 2]})
    later.to_csv(folder / 'info_val.csv', index=False)
    draw(folder, [*(f'train/{name}' for name in names), *(f'val/{name}' for name in later['name'])])


def koniq10k(folder: Path) -> None:
    """Six photographs of all three sets."""
    names = list(read_splits('koniq10k').index[:6])
    rows = pd.DataFrame({'image_name': names, 'c_total': 100, 'MOS': np.arange(6) * 20, 'SD': 0.5})
    rows['set'] = ['training', 'validation', 'test'] * 2
    rows.to_csv(folder / 'koniq10k_distributions_sets.csv', index=False)
    draw(folder / '512x384', names)
