"""Every option file is what its table says, passes the schema and has a full-size network; each kind trains two steps."""

import pyiqa.train
import pytest
import torch
import yaml
from option_files import FILES, as_tiny, make_tables, one_of_each_kind, read_options, stated_sizes, tiny_weights

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig
from pyiqa_moeagiqa.archs.moeagiqa_arch import MoEAGIQA
from pyiqa_moeagiqa.archs.prior_arch import PriorRegressor
from pyiqa_moeagiqa.archs.vit import build_vit
from pyiqa_moeagiqa.checkpoints import load_network
from pyiqa_moeagiqa.checkpoints.start import network_config
from pyiqa_moeagiqa.models.fill_in import fill_in
from pyiqa_moeagiqa.models.run_options import check_run
from pyiqa_moeagiqa.options import OptionError
from pyiqa_moeagiqa.training.option_file import read_options as read_checked
from pyiqa_moeagiqa.training.run import run
from scripts.write_option_reference import PAGE, page
from scripts.write_options import FOLDER, SAME_RUN, files, text


def test_files_are_what_the_script_writes():
    made = {name: text(name, about, options) for name, about, options in files()}
    assert {str(path.relative_to(FOLDER)) for path in FOLDER.rglob('*.yml')} == set(made)
    assert [name for name, content in made.items() if (FOLDER / name).read_text() != content] == []


def test_the_page_of_all_options_is_what_the_script_writes():
    assert PAGE.read_text(encoding='utf-8') == page()


def config(options: dict) -> MoEAGIQAConfig:
    return network_config(options['network'])


def test_files_of_one_run_say_so():
    mains, found = {}, {}
    for name, _, options in files():
        if options['model_type'] == 'MoEAGIQAModel' and 'hf://' not in str(options['network']):
            run = {key: options[key] for key in ('datasets', 'test', 'train')}, config(options)
            main = mains.setdefault(repr(run), name)
            if main != name:
                found[name] = main
    assert found == SAME_RUN
    for name, main in found.items():
        assert main in (FOLDER / name).read_text().partition('\n')[0]
        assert name in (FOLDER / main).read_text().partition('\n')[0]


@pytest.mark.parametrize('name', FILES)
def test_a_file_passes_the_schema_and_builds_its_full_size_network(name, tmp_path):
    options = read_options(name)
    if options['network'].get('semantic') == 'clip':
        weights = options['network']['weights']
        weights['semantic'] = stated_sizes(weights['semantic'], tmp_path)
    check_run(options)
    assert set(options.get('published', {})) <= {fill_in(options)['datasets']['val']['name'], *options['test']}
    with torch.device('meta'):
        if options['model_type'] == 'MoEAGIQAModel':
            network = MoEAGIQA(config(options))
            assert network.view_size == fill_in(options)['datasets']['val']['view_size']
            assert set(options['network']['weights']) == set(network.config.encoders)
        else:
            prior = options['network']
            size, kinds = prior.get('crop_size', 224), prior.get('kinds', 0)
            vit = build_vit(prior.get('visual', MoEAGIQAConfig().visual), size)
            assert PriorRegressor(vit.num_features, kinds).score.out_features == 1 + kinds
            assert {data['crop_size'] for data in fill_in(options)['datasets'].values()} == {size}


@pytest.fixture(scope='module')
def tables(tmp_path_factory):
    return make_tables(tmp_path_factory.mktemp('tables'))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    return tiny_weights(tmp_path_factory.mktemp('weights'))


@pytest.mark.parametrize('name', one_of_each_kind())
def test_a_file_of_each_kind_trains_two_steps_on_a_tiny_network(name, tables, weights, tmp_path):
    options = as_tiny(read_options(name), tables, weights, tmp_path)
    check_run(options)
    result = run(options, tmp_path / 'run')
    assert result['best_iteration'] == 2
    if options['model_type'] == 'MoEAGIQAModel':  # the trained parts, with the others from elsewhere, are a network
        network, _ = load_network(tmp_path / 'run' / 'models' / 'net_best.safetensors')
        assert network.config == config(options).changed(lora_rank=0)  # adapters are merged
    names = {name.partition('/')[0] for name in result['figures']}  # of several tables each has figures, too
    assert names == {fill_in(options)['datasets']['val']['name'], *options['test']}


@pytest.mark.parametrize('name', ['moeagiqa.yml', 'moeagiqa_compact.yml', 'compact_prior.yml', 'joint.yml'])
def test_pyiqas_own_trainer_takes_the_same_file(name, tables, weights, tmp_path, monkeypatch):
    options = as_tiny(read_options(name), tables, weights, tmp_path)
    (tmp_path / 'options.yml').write_text(yaml.safe_dump(options))
    monkeypatch.setattr('sys.argv', ['train.py', '-opt', str(tmp_path / 'options.yml')])
    pyiqa.train.train_pipeline(str(tmp_path))
    assert (tmp_path / 'experiments' / options['name'] / 'models' / 'net_best.safetensors').is_file()


def test_the_compact_options_are_the_embedded_networks():
    from pyiqa_moeagiqa.checkpoints import find, read_header

    embedded = read_header(find('moeagiqa'))[0].to_dict()
    assert config(read_options('moeagiqa_compact.yml')).to_dict() | {'dropout': 0} == embedded | {'dropout': 0}


WRONG = {
    'section': ('trian.lr=1', "Unknown top-level option 'trian': did you mean 'train'"),
    'train key': ('train.warmpu=3', "Unknown train option 'warmpu': did you mean 'warmup'"),
    'data key': ('datasets.val.crop=3', "Unknown datasets.val option 'crop': did you mean 'crops'"),
    'test key': ('test.agiqa3k_test.splits=test', "Unknown test.agiqa3k_test option 'splits': did you mean 'split'"),
    'logger key': ('logger.print_frq=3', "Unknown logger option 'print_frq': did you mean 'print_freq'"),
    'rate as text': ('train.optim.lr="1e-5"', r"train.optim option lr is '1e-5': .*in YAML 1\.0e-5"),
    'negative rate': ('train.optim.lr=-1.0', 'option lr is -1.0: it must be a number of at least 0'),
    'optimizer': ('train.optim.type=Adamw', "'Adamw': it must be a class of torch.optim"),
    'accumulate': ('train.accumulate=0', 'accumulate is 0: it must be a whole number of at least 1'),
    'amp': ('train.amp=bf16', "amp is 'bf16': it must be true, false, 'bfloat16' or 'float16'"),
    'flag as text': ('train.cache_frozen="no"', "cache_frozen is 'no': it must be true, false or 'view'"),
    'section as value': ('train.optim=AdamW', "optim is 'AdamW': it must be a section of its own"),
    'range': ('datasets.train.mos_range=[5,0]', r'mos_range is \[5, 0\]: it must be the lowest and highest'),
    'unknown loss': ('train.mos_loss_opt.type=L2Loss', "type is 'L2Loss': it must be 'L1Loss' or 'MSELoss'"),
    'key metric': ('val.key_metric=krcc', "key_metric is 'krcc': it must be one of val.metrics: srcc, plcc"),
    'infinite range': ('datasets.train.mos_range=[0,.inf]', 'it must be the lowest and highest'),
    'name with a folder': ('name=../elsewhere', "name is '../elsewhere': it must be text without slashes"),
    'removed in vain': ('train.warmpu=null', "'train.warmpu=null': there is no such option to remove; there are optim"),
    'state to resume': ('path.resume_state=a.state', 'resume_state is .a.state.: leave it empty'),
    'prefetching': ('datasets.train.prefetch_mode=cuda', "prefetch_mode is 'cuda': it is for pyiqa's own trainer"),
    'enlarged': ('datasets.train.dataset_enlarge_ratio=2', 'dataset_enlarge_ratio is 2: .* raise total_epoch'),
    'no change': ('train.optim', 'write key=value'),
}


@pytest.mark.parametrize('name', WRONG)
def test_what_is_wrong_is_said_with_file_key_value_and_nearest_key(name):
    change, words = WRONG[name]
    with pytest.raises(OptionError, match=words) as error:
        read_checked(FOLDER / 'moeagiqa.yml', [change])
    assert '\n' not in str(error.value)
    assert str(FOLDER / 'moeagiqa.yml') in str(error.value) or name in ('no change', 'removed in vain')


def test_a_change_reaches_its_option_and_null_removes_it():
    changes = ['train.optim.lr=2e-4', 'network.layers=[1, 2]', 'published=null']
    options = read_checked(FOLDER / 'moeagiqa.yml', changes)
    assert (options['train']['optim']['lr'], options['network']['layers']) == (2e-4, [1, 2])
    assert 'published' not in options
