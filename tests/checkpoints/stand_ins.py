"""What the tests of checkpoints put in the place of released files, servers and attackers."""

from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import torch
from reference.cases import CASES, TINY_BLIP_SIZES, tensors

from pyiqa_moeagiqa.archs.config import MoEAGIQAConfig

INFO = {
    'model_name': 'tiny',
    'dataset': 'AGIQA-3K',
    'mos_range': [0, 5],
    'licence': 'MIT',
    'figures': {'AGIQA-3K': {'srcc': 0.8123, 'plcc': 0.8712}},
    'sources': {'visual': 'timm'},
}
# The released regressor's sizes beside the tiny encoders': 4 layers, ViT and text width, C, C / 4, grid.
TINY_SIZES = {3072: 4 * 48, 768: 48, 512: 64, 128: 16, 14: 2}
VIT = {name: CASES['tiny_vit_config'][name] for name in ('embed_dim', 'depth', 'num_heads')}


class Attack:
    """Unpickled, it makes a file: the trace that code in a pickle has run."""

    def __init__(self, trace: Path):
        self.trace = trace

    def __reduce__(self):
        return Path.touch, (self.trace,)


def released_config(version: str, **changes) -> MoEAGIQAConfig:
    """The released network with the reference cases' tiny encoders."""
    options = {
        'visual_options': VIT,
        'semantic_options': TINY_BLIP_SIZES,
        'channels': 64,
        'hidden': 48,
        'crop_size': 32,
        'crops': 2,
    }
    return MoEAGIQAConfig.from_options(options | {'prior': version == 'v2'} | changes)


def image_reward() -> dict[str, torch.Tensor]:
    """ImageReward.pt in small: BLIP, and the parts of it that MoE-AGIQA does not use."""
    blip = {f'blip.{name}': tensor for name, tensor in tensors('tiny_blip').items()}
    unused = ('blip.vision_proj.weight', 'blip.text_proj.bias', 'mlp.layers.0.weight')
    positions = {'blip.text_encoder.embeddings.position_ids': torch.arange(64)[None]}
    return blip | {name: torch.zeros(2) for name in unused} | positions


def finetuned(version: str) -> dict:
    """The fine-tuned best.pth in small; as in the released one, its loss is a number of numpy's."""
    return {
        'epoch': 3,
        'reward_model_state_dict': image_reward(),
        'regressor_model_state_dict': tensors(f'regressor_{version}', TINY_SIZES),
        'optimizer_state_dict': {'state': {}, 'param_groups': [{'lr': 1e-5}]},
        'loss': np.mean([0.1, 0.2]),
    }


def write_released(folder: Path) -> dict[str, Path]:
    """Write the released files in small; returns their paths."""
    folder.mkdir()
    contents = {
        'finetuned_v1': finetuned('v1'),
        'finetuned_v2': finetuned('v2'),
        'prior': {
            'vit_model_state_dict': tensors('tiny_vit'),
            'regressor_model_state_dict': tensors('prior_regressor', TINY_SIZES),
            'loss': np.float64(0.1),
        },
        'visual': tensors('tiny_vit'),
    }
    paths = {name: folder / f'{name}.pth' for name in contents}
    for name, content in contents.items():
        torch.save(content, paths[name])
    return paths


@dataclass
class Page:
    """What a server answers: ``missing`` bytes are announced but not sent."""

    body: bytes = b''
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    missing: int = 0


def hub_page(body: bytes, **options) -> Page:
    """What the Hugging Face hub answers for a file of its own."""
    return Page(body, headers={'ETag': '"0123456789abcdef"', 'X-Repo-Commit': 40 * 'a'}, **options)


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        page = self.server.pages.get(self.path, self.server.missing)
        self.server.asked.append(f'{self.command} {self.path}')
        self.send_response(page.status)
        for name, value in page.headers.items():
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(page.body) + page.missing))
        self.end_headers()
        if with_body:
            self.wfile.write(page.body)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    """Answers with ``pages`` (path -> Page), or else with ``missing``; notes in ``asked`` what was asked for."""

    def __init__(self, scheme: str):
        super().__init__(('localhost', 0), _Handler)
        self.address = f'{scheme}://localhost:{self.server_port}'
        self.pages: dict[str, Page] = {}
        self.missing = Page(b'not here', status=404)
        self.asked: list[str] = []

    def handle_error(self, request, client_address):
        """A client that turns away is no matter for the test's output."""
