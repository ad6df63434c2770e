"""What is typed for an image maker and what is left of it."""

import pytest

from pyiqa_moeagiqa.prompts import clean


@pytest.mark.parametrize(
    ('typed', 'words'),
    [
        ('a (red:1.2) cat', 'a red cat'),
        ('((a cat)), [snow], [[fog]]', 'a cat, snow, fog'),
        ('(a (red:1.1) cat:0.8)', 'a red cat'),
        ('<lora:film:0.8>a cat<lyco:x:1>, <hypernet:y:0.5> snow', 'a cat, snow'),
        (r'cat \(animal\), \[1\]', 'cat (animal), [1]'),
        ('a cat BREAK in snow', 'a cat, in snow'),
        ('a cat :1.2 AND a dog :0.5', 'a cat, a dog'),
        ('[cat:dog:0.5], [red|blue]', 'cat, dog, red, blue'),
        ('[snow:0.3] a cat [fog::0.7]', 'snow a cat fog'),
        ('clock at 10:30, ratio 3:2, 1 < 2, I <3 cats', 'clock at 10:30, ratio 3:2, 1 < 2, I <3 cats'),
        ('a cat,, , \n\n snow ,', 'a cat, snow'),
        ('a\0cat \ud800', 'a cat \ufffd'),
        # SwarmUI's docs: 'Advanced Prompt Syntax'
        ('a <setvar[c]:red> dog with <var:c> eyes', 'a red dog with red eyes'),
        ('<setmacro[c,false]:red> a dog with <macro[c]> eyes', 'a dog with red eyes'),
        ('<alternate:cat, dog> <fromto[0.5]:in snow, in rain> <random:a|b>', 'cat, dog in snow, in rain'),
        ('a cat <comment:to do> <trigger> <//:later><refiner> sharp <base> in snow', 'a cat in snow'),
        ('a cat <video> it runs', 'a cat'),
        ('# a draft\na cat // not this\n// nor this\n/* nor\nthis */ in snow', 'a cat // not this in snow'),
        ('#cat #snow', '#cat #snow'),
        ('photo, embedding:my-style:1.2, (embedding:b.pt:0.5), cat', 'photo, cat'),
        ('You are a helpful assistant. <Prompt Start> a cat', 'a cat'),
        ('You are an assistant designed to generate images. a cat', 'a cat'),
        ('smile, :), :(, >:), (a cat :)', 'smile, :), :(, >:), a cat :'),
    ],
)
def test_stable_diffusion(typed, words):
    assert clean.stable_diffusion(typed) == words


def test_other_notations():
    assert clean.novelai('{{a cat}}, [snow], 1.5::rain ::, -1::fog::') == 'a cat, snow, rain'
    assert clean.invokeai('a (red)1.2 cat++ in snow-, well-known C++ (fog)--') == 'a red cat in snow, well-known C fog'
    assert clean.old_invokeai('a cat [dog, blurry] in snow') == 'a cat in snow'
    assert clean.midjourney('a cat::2 snow::-0.5 -- really --ar 2:1 --no dog --v 6') == 'a cat snow -- really'
    assert clean.midjourney('https://s.mj.run/a a cat —v 5 Job ID: 1') == 'a cat'
    assert clean.midjourney('--v 6 Job ID: 1') == ''


def test_positive_part():
    assert clean.positive_part('a cat\nsnow\nNegative prompt: dog\nSteps: 20') == 'a cat\nsnow'
    assert clean.positive_part('a cat\nSteps: 20, Sampler: x\nTemplate: y') == 'a cat'
    assert clean.positive_part('Steps to the sea') == 'Steps to the sea'


@pytest.mark.parametrize(
    'part',
    [
        '<a:',
        '[',
        '(:1',
        ': 1 ',
        ' AND',
        '[[|:',
        '::',
        ' :1.',
        '++',
        ' --a',
        ',,  ',
        ' ',
        '1',
        ':1.',
        '-1',
        '\n',
        '/*',
        '<setvar[a]:',
        '<var:a>',
        '<a[',
        ' :)',
        '-1::',
        'embedding:',
        '<video>',
        '#',
        '//',
        'You are an ',
    ],
)
def test_no_text_takes_for_ever(part):
    text = ':' + part * (clean.LONGEST_PROMPT // len(part))
    for words in (clean.stable_diffusion, clean.novelai, clean.invokeai, clean.old_invokeai, clean.midjourney):
        assert len(words(text)) <= len(text)  # at once: a pattern that tries all pairs of places takes half a minute
