"""Every option file is what our checks accept, and its network can be built at full size."""

from pathlib import Path

import pytest
import torch
import yaml

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.data.info import shared_folder
from pyiqa_moeagiqa.data.options import check_dataset_options
from pyiqa_moeagiqa.data.shared_files import write
from pyiqa_moeagiqa.models.options import check_datasets_fit, check_training_options
from pyiqa_moeagiqa.options import OptionError

FOLDER = Path(__file__).parent.parent / 'options'
OURS = ['moeagiqa.yml', 'moeagiqa_compact.yml']


def read_options(name: str) -> dict:
    return yaml.safe_load((FOLDER / name).read_text())


def test_all_files_are_tested():
    assert {path.name for path in FOLDER.rglob('*.yml')} == {*OURS, 'moeagiqa_prior.yml'}


@pytest.mark.parametrize('name', OURS)
def test_an_option_file_describes_a_network_that_fits_its_data(name):
    options = read_options(name)
    options.update(num_gpu=1, dist=False)
    check_training_options(options)
    for phase, data in options['datasets'].items():
        check_dataset_options(data | {'phase': phase})
    network_options = {key: value for key, value in options['network'].items() if key not in ('type', 'weights')}
    config = MoEAGIQAConfig.from_options(network_options)
    with torch.device('meta'):
        network = MoEAGIQA(config)
    check_datasets_fit(options['datasets'], config, network.view_size)


def test_the_compact_options_are_the_embedded_networks():
    from pyiqa_moeagiqa.checkpoints import find, read_header

    options = read_options('moeagiqa_compact.yml')['network']
    network_options = {key: value for key, value in options.items() if key not in ('type', 'weights')}
    embedded = read_header(find('moeagiqa'))[0].to_dict()
    assert MoEAGIQAConfig.from_options(network_options).to_dict() | {'dropout': 0} == embedded | {'dropout': 0}


def test_written_files_are_not_overwritten_where_they_were_changed(tmp_path):
    written = write(tmp_path)
    assert (tmp_path / 'options' / 'moeagiqa.yml') in written
    assert write(tmp_path) == written
    (tmp_path / 'options' / 'moeagiqa.yml').write_text('mine')
    with pytest.raises(OptionError, match=r'moeagiqa\.yml is there already and differs'):
        write(tmp_path)
    write(tmp_path, force=True)
    assert (tmp_path / 'options' / 'moeagiqa.yml').read_text() == (
        shared_folder('options') / 'moeagiqa.yml'
    ).read_text()
