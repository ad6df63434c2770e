"""Splits: groups stay whole, and the same seed gives the same split."""

from pyiqa_moeagiqa.data.splits import split_column

PROMPTS = [f'prompt {place // 3}' for place in range(300)]


def sides(seed: int) -> dict[str, set[str]]:
    parts = split_column(PROMPTS, seed)
    return {part: {prompt for prompt, side in zip(PROMPTS, parts, strict=True) if side == part} for part in set(parts)}


def test_no_prompt_is_on_two_sides():
    parts = sides(1)
    assert {part: len(prompts) for part, prompts in parts.items()} == {'train': 70, 'val': 10, 'test': 20}
    assert set.union(*parts.values()) == set(PROMPTS)


def test_a_seed_is_a_split():
    assert split_column(PROMPTS, 1) == split_column(PROMPTS, 1) != split_column(PROMPTS, 2)


def test_the_order_of_rows_does_not_matter():
    assert split_column(PROMPTS[::-1], 1) == split_column(PROMPTS, 1)[::-1]


def test_the_split_is_the_same_on_every_machine():
    parts = split_column([f'prompt {place}' for place in range(10)], seed=123)
    assert [place for place, part in enumerate(parts) if part == 'test'] == [0, 4]
