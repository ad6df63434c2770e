"""Writes the quantiles of AGIQA-3K's MOS into ``datasets_meta/agiqa3k.yml``: what a score's percentile is read from.

python scripts/write_quantiles.py ANNOTATIONS
"""

import argparse
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

from pyiqa_moeagiqa.data.official import agiqa3k

FILE = Path(__file__).parent.parent / 'datasets_meta' / 'agiqa3k.yml'
TARGETS = ('quality', 'alignment')
START = '# MOS of all images: the 0th, 1st ... 100th percentile.\nquantiles:\n'


def quantiles(mos: pd.Series) -> list[float]:
    """The 0th, 1st ... 100th percentile, to a thousandth of a MOS."""
    return [round(float(value), 3) for value in np.quantile(mos.astype(float), np.linspace(0, 1, 101))]


def with_quantiles(text: str, table: pd.DataFrame) -> str:
    """The description with the table's quantiles at its end, in the place of those that were there."""
    lists = (f'[{", ".join(map(str, quantiles(table[target])))}]' for target in TARGETS)
    wrapped = (textwrap.fill(values, 116, initial_indent='    ', subsequent_indent='    ') for values in lists)
    block = ''.join(f'  {target}:\n{values}\n' for target, values in zip(TARGETS, wrapped, strict=True))
    return text.partition(START)[0] + START + block


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('annotations', type=Path, help='Folder of the official annotation file, data.csv.')
    official = agiqa3k.read(parser.parse_args().annotations)
    FILE.write_text(with_quantiles(FILE.read_text(encoding='utf-8'), official), encoding='utf-8')
