"""Photographs that anyone can have: they are used for training and measuring, and are no part of the project.

Those of Debian's wallpaper packages, which their authors made free (CC BY, CC BY-SA, GPL, LGPL), teach what a photograph is.
Those that scikit-image and scikit-learn ship teach nothing: figures are reported on them.
"""

import subprocess
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

# package -> its photographs; most of its other wallpapers are drawn
WALLPAPERS = {
    'lomiri-wallpapers-16.04': [
        'Bridge_by_Sander_Klootwijk', 'Dragonfly_by_Bolly', 'Picture_0B_by_freespace', 'Picture_1A_by_freespace',
        'aitzgorri_by_Aitzol_Berasategi', 'greentock_by_Peter_Nerlich', 'life_by_Aitzol_Berasategi',
        'picosdeeuropa_by_Aitzol_Berasategi', 'seeding_by_Clements_Engelhardt', 'sunset_by_Aitzol_Berasategi',
        'Wine_by_Jakkub_Mede', 'free_by_Peter_Nerlich', 'friends_by_Aitzol_Berasategi',
    ],
    'lomiri-wallpapers-20.04': ['Kleiber_by_Lukas_Baubkus'],
    'mate-backgrounds': [
        'Aqua', 'Blinds', 'Dune', 'FreshFlower', 'Garden', 'GreenMeadow', 'LadyBird', 'RainDrops', 'Storm', 'TwoWings', 'Wood',
        'YellowFlower',
    ],
    'plasma-workspace-wallpapers': [
        'BytheWater', 'ColdRipple', 'ColorfulCups', 'DarkestHour', 'EveningGlow', 'FallenLeaf', 'Grey', 'Kite', 'OneStandsOut',
        'Path', 'summer_1am',
    ],
}  # fmt: skip
WIDEST = 2600  # pixels: of a wallpaper in several sizes, the largest that is not larger
REPORTED = {
    'skimage': [
        'data/astronaut.png',
        'data/chelsea.png',
        'data/coffee.png',
        'data/rocket.jpg',
        'data/motorcycle_left.png',
    ],
    'sklearn': ['datasets/images/china.jpg', 'datasets/images/flower.jpg'],
}


def wallpapers(folder: Path) -> list[Path]:
    """Files of the wallpapers, fetched from Debian's archive into ``folder`` where they are not there."""
    files = []
    for package, names in WALLPAPERS.items():
        place = (folder / package).resolve()
        if not place.is_dir():
            with TemporaryDirectory(dir=folder) as part:
                subprocess.run(['apt-get', 'download', package], cwd=part, check=True)
                unpacked = Path(part) / package
                subprocess.run(
                    ['dpkg-deb', '--extract', str(next(Path(part).glob('*.deb'))), str(unpacked)], check=True
                )
                unpacked.rename(place)
        files += [_largest(place, name) for name in names]
    return files


def _largest(place: Path, name: str) -> Path:
    """The picture of that name, or the largest of the folder of that name."""
    found = [file for file in place.rglob('*') if file.suffix in ('.jpg', '.png') and name in (file.stem, _owner(file))]
    widths = {file: Image.open(file).width for file in sorted(found)}
    return max((file for file in widths if widths[file] <= WIDEST or len(found) == 1), key=widths.get)


def _owner(file: Path) -> str:
    return file.parents[2].name if file.parent.name == 'images' else ''


def reported() -> list[Path]:
    """Files of the photographs that figures are reported on."""
    return [Path(find_spec(module).origin).parent / name for module, names in REPORTED.items() for name in names]


def of_area(image: Image.Image, side: int) -> Image.Image:
    """A picture reduced to as many pixels as a square of ``side``; a smaller one as it is."""
    factor = side / (image.width * image.height) ** 0.5
    return image if factor >= 1 else image.resize([round(length * factor) for length in image.size], Image.LANCZOS)
