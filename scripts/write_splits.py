"""Writes ``datasets_meta/splits/`` anew from the official annotation files, and shows each file's SHA-256.

    python scripts/write_splits.py ANNOTATIONS

Only needed where a data set is added: the files are the definition of the splits, and the SHA-256 goes into the data
set's description.
"""

import argparse
import hashlib
from pathlib import Path

from pyiqa_moeagiqa.data.official import NAMES, aigciqa2023, read_official
from pyiqa_moeagiqa.data.splits import make_splits, split_file_text

FOLDER = Path(__file__).parent.parent / 'datasets_meta' / 'splits'


def write(annotations: Path, folder: Path) -> dict[str, str]:
    """Write every split file into ``folder``; returns name -> SHA-256. The annotations may lie in sub-folders."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name in NAMES:
        # AIGCIQA2023's splits need no MOS, so they can be made without the MATLAB files.
        is_without_mos = name == 'aigciqa2023'
        pictures = aigciqa2023.read_pictures(annotations) if is_without_mos else read_official(name, annotations)
        content = split_file_text(make_splits(pictures)).encode()
        (folder / f'{name}.csv').write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    return hashes


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', type=Path, help='Folder of the official annotation files.')
    for data_set, sha256 in write(parser.parse_args().annotations, FOLDER).items():
        print(data_set, sha256)
