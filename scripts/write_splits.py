"""Writes ``datasets_meta/splits/`` anew from the official annotation files, and shows each file's SHA-256.

    python scripts/write_splits.py ANNOTATIONS

Only needed where a data set is added: the files are the definition of the splits, and the SHA-256 goes into the data
set's description.
"""

import argparse
import hashlib
from pathlib import Path

from pyiqa_moeagiqa.data.official import READERS, aigciqa2023
from pyiqa_moeagiqa.data.splits import make_splits, split_file_text

FOLDER = Path(__file__).parent.parent / 'datasets_meta' / 'splits'
# Its splits need no MOS, so they can be made without the MATLAB files.
PICTURES = READERS | {'aigciqa2023': aigciqa2023.read_pictures}


def write(annotations: Path, folder: Path) -> dict[str, str]:
    """Write every split file into ``folder``; returns name -> SHA-256. The annotations may lie in sub-folders."""
    folder.mkdir(parents=True, exist_ok=True)
    hashes = {}
    for name, read in PICTURES.items():
        content = split_file_text(make_splits(read(annotations))).encode()
        (folder / f'{name}.csv').write_bytes(content)
        hashes[name] = hashlib.sha256(content).hexdigest()
    return hashes


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', type=Path, help='Folder of the official annotation files.')
    for data_set, sha256 in write(parser.parse_args().annotations, FOLDER).items():
        print(data_set, sha256)
