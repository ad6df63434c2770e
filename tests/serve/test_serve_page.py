"""The page as a person uses it, in Chromium: by mouse and keyboard, wide and narrow, light and dark."""

import csv
import re
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from running import running

from pyiqa_moeagiqa.scoring.explain import explain
from pyiqa_moeagiqa.serve import app

CHROMIUM = shutil.which('chromium') or shutil.which('google-chrome')
PATIENCE = 120_000  # milliseconds


@pytest.fixture(scope='module')
def browser():
    """Chromium as the system has it."""
    sync_api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    if not CHROMIUM:
        pytest.skip('there is no Chromium here: apt-get install chromium')
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=['--no-sandbox'])
        yield opened
        opened.close()


@pytest.fixture(scope='module')
def application(metric):
    return app(metric)


@pytest.fixture(scope='module')
def address(application):
    with running(application) as found:
        yield found


@pytest.fixture
def visit(browser, address):
    """Opens the page in a window of some width and colour scheme; notes what it fetches from elsewhere, and its errors."""
    contexts, wrong = [], []

    def opened(width=1300, scheme='light'):
        contexts.append(browser.new_context(viewport={'width': width, 'height': 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENCE)
        page.on(
            'request',
            lambda asked: None if asked.url.startswith((address, 'data:', 'blob:')) else wrong.append(asked.url),
        )
        page.on('pageerror', lambda error: wrong.append(str(error)))
        page.goto(address)
        button(page, 'Score').wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def button(page, name):
    return page.get_by_role('button', name=name, exact=True)


def drop(page, *files) -> None:
    """Choose files, and wait until their names are shown."""
    page.locator('input[type=file]').first.set_input_files([str(file) for file in files])
    page.get_by_text(files[-1].stem).first.wait_for()


def prompt(page):
    return page.get_by_label('Prompt', exact=True)


def scored(page) -> list[str]:
    """What the cards say after Score was pressed."""
    button(page, 'Score').click()
    page.locator('.scores').first.wait_for()
    page.get_by_role('link', name='Download as CSV').wait_for()
    return page.locator('.card').all_inner_texts()


def test_a_picture_brings_its_prompt_and_gets_its_score(visit, metric, fox):
    page = visit()
    drop(page, fox)
    page.wait_for_function("document.querySelector('textarea').value === 'a red fox'")
    (card,) = scored(page)
    mos = 5 * metric(str(fox), caption_list=['a red fox']).item()
    assert f'{mos:.2f} of 5' in card
    assert re.search('Quality: (bad|poor|fair|good|excellent)', card)
    assert 'of images with such a score' in card
    with page.expect_download() as download:
        page.get_by_role('link', name='Download as CSV').click()
    (row,) = csv.DictReader(Path(download.value.path()).read_text().splitlines())
    assert (row['path'], row['prompt'], float(row['mos'])) == ('fox.png', 'a red fox', pytest.approx(mos))
    button(page, 'Show where the best score comes from').click()
    page.locator('.scores figure img').wait_for()
    matter = any(abs(share) >= 0.0005 for share in explain(metric, str(fox), 'a red fox', places=False).word_shares)
    assert page.locator('.scores .word').count() == 3 * matter


def test_pictures_are_ranked_and_what_fails_says_why(visit, metric, fox, pictures):
    (pictures / 'broken.png').write_bytes(fox.read_bytes()[:900])
    page = visit(width=400, scheme='dark')
    drop(page, pictures / 'b.jpg', pictures / 'broken.png', fox)
    prompt(page).fill('a <b>cat</b> ${1 + 1}')
    cards = scored(page)
    scores = metric([str(pictures / 'b.jpg'), str(fox)], caption_list=['a <b>cat</b> ${1 + 1}'] * 2).flatten().tolist()
    best, second = ('b.jpg', 'fox.png') if scores[0] > scores[1] else ('fox.png', 'b.jpg')
    assert [card.splitlines()[0] for card in cards] == [f'1. {best}', f'2. {second}', 'broken.png']
    assert 'Not scored: the image is' in cards[2]
    assert 'a <b>cat</b> ${1 + 1}' in cards[0]  # nothing in a prompt acts as markup
    assert page.evaluate('document.documentElement.scrollWidth') <= 400
    assert page.evaluate("getComputedStyle(document.body).colorScheme || ''") == 'dark'


def test_no_picture_and_no_prompt_are_said(visit, pictures):
    page = visit()
    button(page, 'Score').click()
    page.get_by_text('There is no picture yet').wait_for()
    drop(page, pictures / 'b.jpg')
    (card,) = scored(page)
    assert 'Not scored: there is no prompt for it' in card
    assert button(page, 'Show where the best score comes from').count() == 0


def test_two_prompts_are_compared_by_keyboard_alone(visit, metric, fox):
    page = visit()
    page.keyboard.press('Tab')
    with page.expect_file_chooser() as chooser:
        for _ in range(10):
            if page.evaluate(
                "document.activeElement.matches('button') && !!document.activeElement.querySelector('input[type=file]')"
            ):
                break
            page.keyboard.press('Tab')
        page.keyboard.press('Enter')
    chooser.value.set_files(str(fox))
    page.wait_for_function("document.querySelector('textarea').value === 'a red fox'")
    for _ in range(20):
        page.keyboard.press('Tab')
        if page.evaluate("document.activeElement.matches('textarea, input') && !document.activeElement.value"):
            break
    page.keyboard.type('a cup')
    page.keyboard.press('Enter')
    page.get_by_text('has the higher alignment').wait_for()
    assert page.locator('.card').count() == 2
    better = (
        metric([str(fox)] * 2, caption_list=['a red fox', 'a cup'], return_details=True)[1].scores['alignment'].argmax()
    )
    assert page.get_by_text('has the higher alignment').inner_text().startswith(f'“{["a red fox", "a cup"][better]}”')


def test_uploads_are_gone_when_the_page_is_closed(visit, application, tmp_path):
    page = visit()
    info = PngInfo()
    info.add_text('parameters', 'a red square\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1')
    Image.new('RGB', (64, 64), 'red').save(tmp_path / 'square.png', pnginfo=info)
    drop(page, tmp_path / 'square.png')
    page.wait_for_function("document.querySelector('textarea').value === 'a red square'")
    other = visit()
    drop(other, tmp_path / 'square.png')
    other.wait_for_function("document.querySelector('textarea').value === 'a red square'")
    (upload,) = Path(application.state.uploads.name).glob('*/square.png')  # the same picture is kept once
    other.close()
    time.sleep(1)  # in which the page that was closed is noticed
    assert upload.exists()
    page.close()
    wait_until_gone(upload.parent)


def wait_until_gone(folder: Path) -> None:
    """The server notices by itself that a page was closed, soon after."""
    end = time.monotonic() + PATIENCE / 1000
    while folder.exists():
        assert time.monotonic() < end, folder
        time.sleep(0.1)
