"""Cells that begin like a formula are text in a spreadsheet, and come back as they were."""

import pytest

from pyiqa_moeagiqa.spreadsheet import as_meant, spreadsheet_safe

FORMULAS = ['=1+1', '+1', '-1girl', '@SUM(A1)', '\t=1', '\r=1', '\n=1', '=cmd|" /C calc"!A0', '＝1', "'=1", "''=1"]


@pytest.mark.parametrize('text', FORMULAS)
def test_what_begins_like_a_formula_begins_with_an_apostrophe(text):
    assert spreadsheet_safe(text) == "'" + text
    assert as_meant(spreadsheet_safe(text)) == text


@pytest.mark.parametrize('text', ['', 'a cat', "'tis a cat", "'", ' = b', '1+1', '雪中的猫', 'a\n=b'])
def test_other_texts_stay(text):
    assert spreadsheet_safe(text) == text == as_meant(text)


def test_no_two_texts_share_a_cell():
    texts = [*FORMULAS, *map(spreadsheet_safe, FORMULAS), *map(spreadsheet_safe, map(spreadsheet_safe, FORMULAS))]
    assert len(set(map(spreadsheet_safe, texts))) == len(set(texts))
