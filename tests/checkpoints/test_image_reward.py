"""Where ImageReward.pt is found, and what is said of files that are not it. All servers are on this machine."""

import shutil

import pytest
import torch
from refusals import refuses
from stand_ins import Attack, Page, finetuned, hub_page, image_reward, released_config

from pyiqa_moeagiqa.checkpoints import CheckpointError, find, install
from pyiqa_moeagiqa.checkpoints.image_reward import at_hand, find_image_reward, load_image_reward
from pyiqa_moeagiqa.checkpoints.listing import list_weights
from pyiqa_moeagiqa.checkpoints.start import start_network
from pyiqa_moeagiqa.metrics.imagereward import ImageRewardMetric
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric

PATH_ON_THE_HUB = '/THUDM/ImageReward/resolve/main/ImageReward.pt'


@pytest.fixture(autouse=True)
def nothing_at_hand(tmp_path, monkeypatch):
    """No weights of this machine's user are seen."""
    (tmp_path / 'user').mkdir()
    monkeypatch.setenv('HOME', str(tmp_path / 'user'))
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_CACHE', str(tmp_path / 'hub'))
    monkeypatch.chdir(tmp_path / 'user')


def require_refusal(source, *parts) -> None:
    """The metric is not made from ``source``, in one sentence that names ``parts``."""
    with refuses(CheckpointError, *parts):
        ImageRewardMetric(source and str(source))


def test_weights_are_the_files(image_reward_file, image_reward_weights):
    network = load_image_reward(image_reward_file)
    assert torch.equal(network.head[4].bias, image_reward_weights['mlp.layers.7.bias'])
    words = network.semantic.text.embeddings.word_embeddings.weight
    assert torch.equal(words, image_reward_weights['blip.text_encoder.embeddings.word_embeddings.weight'])
    assert not network.training


@pytest.mark.parametrize('folder', ['weights', '.cache/ImageReward', '../home'])
def test_it_is_found_where_people_put_it(image_reward_file, tmp_path, folder):
    place = tmp_path / 'user' / folder
    place.mkdir(parents=True)
    shutil.move(image_reward_file, place)
    assert find_image_reward().samefile(place / 'ImageReward.pt')
    assert ImageRewardMetric().network is not None


def test_it_is_installed_by_its_content(image_reward_file, moeagiqa_home):
    other_name = image_reward_file.rename(image_reward_file.with_name('best.pt'))
    assert install(other_name) == moeagiqa_home / 'ImageReward.pt' == find_image_reward()


def test_half_a_file_is_not_installed(image_reward_file, moeagiqa_home):
    image_reward_file.write_bytes(image_reward_file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match='cut short'):
        install(image_reward_file)
    assert not moeagiqa_home.exists()


def test_it_is_downloaded_once(hub, image_reward_file, monkeypatch):
    hub.pages[PATH_ON_THE_HUB] = hub_page(image_reward_file.read_bytes())
    found = find_image_reward()
    assert found.read_bytes() == image_reward_file.read_bytes()
    assert ImageRewardMetric().checkpoint == found == at_hand()
    assert hub.asked.count(f'GET {PATH_ON_THE_HUB}') == 1


def test_training_names_it_instead_of_a_file(hub, released, tmp_path, monkeypatch):
    (tmp_path / 'imagereward').mkdir()  # a folder of its name is not meant
    monkeypatch.chdir(tmp_path)
    torch.save(image_reward(), tmp_path / 'other_name.pt')
    hub.pages[PATH_ON_THE_HUB] = hub_page((tmp_path / 'other_name.pt').read_bytes())
    options = released_config('v1').to_dict()
    by_name, by_path = (
        start_network(options | {'weights': {'visual': str(released['visual']), 'semantic': source}})[0].semantic
        for source in ('imagereward', str(tmp_path / 'other_name.pt'))
    )
    for name, tensor in by_path.state_dict().items():
        assert torch.equal(by_name.state_dict()[name], tensor)


def test_without_a_hub_it_is_said_where_to_put_it(moeagiqa_home):
    places = ('weights/ImageReward.pt', moeagiqa_home / 'ImageReward.pt', 'pretrained_model_path=FILE')
    require_refusal(None, 'https://huggingface.co/THUDM/ImageReward', *places)


def test_a_hub_that_refuses_is_quoted(hub):
    hub.pages[PATH_ON_THE_HUB] = Page(status=401, headers={'X-Error-Code': 'RepoNotFound'})
    require_refusal(None, '401', 'weights/ImageReward.pt')


def test_another_file_from_the_hub_is_refused(hub):
    hub.pages[PATH_ON_THE_HUB] = hub_page(b'<!doctype html><title>Sign in</title>')
    require_refusal(None, "not ImageReward's file")


def test_an_https_address_is_downloaded(tls_server, image_reward_file, moeagiqa_home):
    url = f'{tls_server.address}/ImageReward.pt'
    tls_server.pages['/ImageReward.pt'] = Page(image_reward_file.read_bytes())
    assert find_image_reward(url).read_bytes() == image_reward_file.read_bytes()
    tls_server.pages['/other.pt'] = Page(b'<!doctype html><title>Sign in</title>')
    url = f'{tls_server.address}/other.pt'
    require_refusal(url, url, "not ImageReward's file")
    assert len(list((moeagiqa_home / 'downloads').iterdir())) == 1


def test_a_file_on_the_hub_may_be_named(hub, image_reward_file):
    hub.pages['/owner/repository/resolve/main/mine.pt'] = hub_page(image_reward_file.read_bytes())
    found = find_image_reward('hf://owner/repository/mine.pt')
    assert found.read_bytes() == image_reward_file.read_bytes()


def test_a_missing_file_is_named():
    require_refusal('gone.pt', 'gone.pt', 'there is no such file')


def test_a_moeagiqa_checkpoint_is_told_its_metric(file):
    require_refusal(file, file, 'a MoE-AGIQA checkpoint', 'metric moeagiqa')
    require_refusal('moeagiqa', 'a MoE-AGIQA checkpoint')


def test_image_reward_is_told_its_metric(image_reward_file):
    with refuses(CheckpointError, image_reward_file, "ImageReward's file", 'metric imagereward'):
        MoEAGIQAMetric(pretrained_model_path=str(image_reward_file))


def test_the_released_moeagiqa_is_not_taken_for_image_reward(tmp_path):
    torch.save(finetuned('v1'), tmp_path / 'best.pth')
    require_refusal(tmp_path / 'best.pth', "not ImageReward's file")
    with pytest.raises(CheckpointError, match='moeagiqa convert'):
        MoEAGIQAMetric(pretrained_model_path=str(tmp_path / 'best.pth'))


@pytest.mark.parametrize('more', [{}, {'mlp.layers.0.weight': torch.zeros(2)}])
def test_code_in_a_file_is_never_run(tmp_path, more):
    torch.save({'code': Attack(tmp_path / 'trace')} | more, tmp_path / 'evil.pt')
    said = 'could run code' if more else "not ImageReward's file"
    require_refusal(tmp_path / 'evil.pt', 'evil.pt', said)
    assert not (tmp_path / 'trace').exists()


def test_a_file_cut_short_is_said_to_be_so(image_reward_file):
    whole = image_reward_file.read_bytes()
    for length in (len(whole) - 1000, 300, 0):
        image_reward_file.write_bytes(whole[:length])
        require_refusal(image_reward_file, image_reward_file)


@pytest.mark.parametrize(
    ('name', 'tensor', 'said'),
    [
        ('mlp.layers.2.bias', None, 'missing head.1.bias'),
        ('blip.visual_encoder.norm.weight', None, 'missing semantic.vision.post_layernorm.weight'),
        ('mlp.layers.0.weight', torch.zeros(1024, 768), 'misshapen head.0.weight (1024, 768) instead of (1024, 48)'),
        ('mlp.layers.9.weight', torch.zeros(1), 'extra mlp.layers.9.weight'),
        ('mlp.layers.7.bias', torch.tensor([torch.nan]), 'head.4.bias has NaN'),
    ],
)
def test_tensors_that_do_not_fit_are_named(image_reward_weights, tmp_path, name, tensor, said):
    image_reward_weights.pop(name, None)
    torch.save(image_reward_weights | ({name: tensor} if tensor is not None else {}), tmp_path / 'other.pt')
    require_refusal(tmp_path / 'other.pt', 'other.pt', said)


def test_names_of_a_parallel_run_are_taken(image_reward_weights, tmp_path):
    torch.save({f'module.{name}': tensor for name, tensor in image_reward_weights.items()}, tmp_path / 'parallel.pt')
    assert torch.equal(
        load_image_reward(find_image_reward(tmp_path / 'parallel.pt')).head[4].bias,
        image_reward_weights['mlp.layers.7.bias'],
    )


def test_find_alone_still_wants_a_checkpoint_of_this_package(hub, image_reward_file):
    hub.pages['/owner/repository/resolve/main/mine.pt'] = hub_page(image_reward_file.read_bytes())
    with pytest.raises(CheckpointError, match='metric imagereward'):
        find('hf://owner/repository/mine.pt')


def printed() -> str:
    import io

    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(list_weights())
    return console.export_text()


def test_it_is_listed(image_reward_file, moeagiqa_home):
    assert 'the first use downloads' in printed()
    install(image_reward_file)
    assert str(moeagiqa_home / 'ImageReward.pt') in printed()
    assert 'Apache-2.0' in printed()
