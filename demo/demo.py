"""The metric on real photographs, each clean, damaged in three ways, and with another photograph's prompt.

Prints a table and writes a contact sheet. The photographs are those that scikit-image ships.
"""

import argparse
import textwrap
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pyiqa
import skimage
from PIL import Image
from rich.console import Console
from rich.table import Table

from recipes.degradations import blur, jpeg, noise

PHOTOS = {
    'astronaut.png': 'a portrait of an astronaut in an orange space suit',
    'chelsea.png': 'a close-up of a ginger cat',
    'coffee.png': 'a cup of coffee on a wooden table',
    'rocket.jpg': 'a rocket on its launch pad at night',
    'motorcycle_left.png': 'a motorcycle in a garage',
}
VERSIONS = {
    'clean': lambda photo: photo,
    'blurred': lambda photo: blur(photo, 3),
    'noised': lambda photo: noise(photo, 40),
    'JPEG 10': lambda photo: jpeg(photo, 10),
}
OTHER = "another's prompt"


def score_all() -> dict[str, dict[str, tuple[Image.Image, str, float, float]]]:
    """For each photograph and version: picture, prompt, quality and alignment."""
    metric = pyiqa.create_metric('moeagiqa')
    folder, names = Path(skimage.data.__file__).parent, list(PHOTOS)
    rows = {}
    for index, name in enumerate(names):
        photo = Image.open(folder / name).convert('RGB')
        cases = {version: (damage(photo), PHOTOS[name]) for version, damage in VERSIONS.items()}
        cases[OTHER] = (photo, PHOTOS[names[(index + 1) % len(names)]])
        rows[name] = {version: (*case, *_score(metric, *case)) for version, case in cases.items()}
    return rows


def _score(metric, picture: Image.Image, prompt: str) -> tuple[float, float]:
    _, details = metric(picture, caption_list=[prompt], return_details=True)
    return details.scores['quality'].item(), details.scores['alignment'].item()


def table(rows) -> Table:
    """Quality, and alignment behind the stroke, of every version."""
    shown = Table('photograph', *VERSIONS, OTHER, title='MoE-AGIQA: quality / alignment, 0 to 1, higher is better')
    for name, cases in rows.items():
        shown.add_row(name, *(f'{quality:.3f} / {alignment:.3f}' for _, _, quality, alignment in cases.values()))
    return shown


def contact_sheet(rows, path: Path) -> None:
    """All versions as one picture, with prompts and scores."""
    figure, axes = plt.subplots(len(rows), len(VERSIONS) + 1, figsize=(15, 3.2 * len(rows)), layout='constrained')
    for line, cases in zip(axes, rows.values(), strict=True):
        for place, (version, (picture, prompt, quality, alignment)) in zip(line, cases.items(), strict=True):
            place.imshow(np.asarray(picture))
            place.set_title(f'{version}\nquality {quality:.3f}, alignment {alignment:.3f}', fontsize=10)
            place.set_xlabel(textwrap.fill(f'“{prompt}”', 40), fontsize=8)
            place.set_xticks([])
            place.set_yticks([])
    figure.savefig(path, dpi=80)


def main() -> None:
    """Score, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--output', type=Path, default=Path('demo_output'), help='folder of the contact sheet')
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    rows = score_all()
    Console().print(table(rows))
    contact_sheet(rows, output / 'contact_sheet.png')
    print(f'Contact sheet: {output / "contact_sheet.png"}')


if __name__ == '__main__':
    main()
