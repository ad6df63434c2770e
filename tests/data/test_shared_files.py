"""The option files and data-set descriptions are written into a folder, and a user's changes are kept."""

import pytest
import yaml

from pyiqa_moeagiqa.data.info import shared_folder
from pyiqa_moeagiqa.data.shared_files import write_options
from pyiqa_moeagiqa.options import OptionError


def test_every_written_file_is_valid_yaml(tmp_path):
    written = write_options(tmp_path)
    assert {path.parent.name for path in written} >= {'options', 'datasets_meta'}
    options = [path for path in written if path.suffix == '.yml']
    assert all(isinstance(yaml.safe_load(path.read_text()), dict) for path in options)


def test_split_files_are_written_as_they_are(tmp_path):
    written = {path.name: path for path in write_options(tmp_path) if path.suffix == '.csv'}
    assert set(written) == {f'{path.stem}.csv' for path in (tmp_path / 'datasets_meta').glob('*.yml')}
    for path in written.values():
        assert path.parent == tmp_path / 'datasets_meta' / 'splits'
        assert path.read_bytes() == (shared_folder('datasets_meta') / 'splits' / path.name).read_bytes()


def test_writing_again_changes_nothing(tmp_path):
    assert write_options(tmp_path) == write_options(tmp_path)


def test_a_changed_file_is_kept_and_named(tmp_path):
    changed, other = write_options(tmp_path)[:2]
    changed.write_text('name: mine\n')
    other.unlink()
    with pytest.raises(OptionError, match=f'{changed.name} is there already and differs: --force'):
        write_options(tmp_path)
    assert changed.read_text() == 'name: mine\n'
    assert not other.exists()


def test_force_replaces_a_changed_file(tmp_path):
    changed = write_options(tmp_path)[0]
    before = changed.read_bytes()
    changed.write_text('name: mine\n')
    write_options(tmp_path, force=True)
    assert changed.read_bytes() == before
