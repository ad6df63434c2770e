"""Writes ``datasets_meta/splits/`` anew from the official annotation files, and shows each file's SHA-256.

    python scripts/write_splits.py ANNOTATIONS

Only needed where a data set is added: the files are the definition of the splits, and the SHA-256 goes into the data
set's description.
"""

import argparse
import hashlib
from pathlib import Path

import pandas as pd

from pyiqa_moeagiqa.data.official import NAMES, aigciqa2023, read_official
from pyiqa_moeagiqa.data.splits import make_splits, split_file_text

FOLDER = Path(__file__).parent.parent / 'datasets_meta' / 'splits'


def pictures_of(name: str, annotations: Path) -> pd.DataFrame:
    """A data set's pictures and prompts; AIGCIQA2023's need no MOS, so its MATLAB files may be missing."""
    read_pictures = {'aigciqa2023': aigciqa2023.read_pictures}.get(name)
    return read_pictures(annotations) if read_pictures else read_official(name, annotations)


def write(annotations: Path, folder: Path) -> dict[str, str]:
    """Write every split file into ``folder``; returns name -> SHA-256. The annotations may lie in sub-folders."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name in NAMES:
        content = split_file_text(make_splits(pictures_of(name, annotations))).encode()
        (folder / f'{name}.csv').write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    return hashes


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', type=Path, help='Folder of the official annotation files.')
    for data_set, sha256 in write(parser.parse_args().annotations, FOLDER).items():
        print(data_set, sha256)
