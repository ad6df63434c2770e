"""The pages build without a warning, and fetch nothing from elsewhere."""

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
FETCHED = {'src', 'srcset', 'data', 'poster'}  # attributes whose address a browser fetches by itself


class Fetched(HTMLParser):
    """Notes what a browser fetches to show a page: not where links lead."""

    def __init__(self):
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in FETCHED or (tag == 'link' and name == 'href'):
                self.addresses.append(value)


@pytest.fixture(scope='module')
def site(tmp_path_factory) -> Path:
    """The site, built from a copy of what it is made of: a build may be beside it already."""
    folder = tmp_path_factory.mktemp('site')
    for name in ('docs', 'pyiqa_moeagiqa', 'scripts'):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('*.safetensors', '__pycache__'))
    for name in ('mkdocs.yml', 'CONTRIBUTING.md', 'MODEL_CARD.md'):
        shutil.copy(ROOT / name, folder)
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict']
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / 'site'


def test_every_page_is_there(site):
    pages = {path.stem for path in (ROOT / 'docs').glob('*.md')}
    assert {path.stem for path in site.glob('*.html')} == pages | {'404'}


def test_pages_fetch_nothing_from_elsewhere(site):
    found = []
    for page in site.rglob('*.html'):
        parser = Fetched()
        parser.feed(page.read_text(encoding='utf-8'))
        assert parser.addresses
        found += [(page.name, address) for address in parser.addresses if re.match(r'(\w+:)?//', address)]
    assert found == []


def test_styles_fetch_nothing_from_elsewhere(site):
    for style in site.rglob('*.css'):
        assert not re.search(r'(@import|url\()\s*["\']?(\w+:)?//', style.read_text(encoding='utf-8')), style


def test_examples_in_docstrings_are_code(site):
    text = (site / 'reference.html').read_text(encoding='utf-8')
    assert '<blockquote>' not in text  # what Markdown makes of >>>
    assert '&gt;&gt;&gt;' in text


def test_options_of_create_metric_are_in_the_reference(site):
    text = (site / 'reference.html').read_text(encoding='utf-8')
    for name in ('pretrained_model_path', 'crop_size', 'dtype', 'return_details', 'crop_positions'):
        assert name in text
