"""A network whose crops are no squares: trained, scored with, explained and exported."""

import torch
from pictures import make_table, options, short

from pyiqa_moeagiqa.checkpoints.export import export
from pyiqa_moeagiqa.metrics.moeagiqa import MoEAGIQAMetric
from pyiqa_moeagiqa.scoring.explain import explain
from pyiqa_moeagiqa.training.run import run


def test_crops_of_another_shape_from_a_square_checkpoint(tiny_checkpoint, tmp_path):
    table = make_table(tmp_path)
    opt = short(options(table, tiny_checkpoint), total_epoch=1)
    opt['network']['crop_size'] = [32, 96]
    run(opt, tmp_path / 'run')
    best = str(tmp_path / 'run' / 'models' / 'net_best.safetensors')
    metric = MoEAGIQAMetric(pretrained_model_path=best)
    assert metric.network.config.crop_size == (32, 96)
    assert metric.made_by['crop_size'] == [32, 96]
    pictures = torch.rand(2, 3, 120, 150, generator=torch.Generator().manual_seed(0))
    scores = metric(pictures, 'a cat')
    assert scores.std() > 0
    assert {box[2:] for box in explain(metric, pictures[:1], 'a cat', places=False).boxes} == {(32, 96)}
    graph = MoEAGIQAMetric(pretrained_model_path=str(export(tmp_path / 'graph.onnx', best)))
    torch.testing.assert_close(graph(pictures, 'a cat'), scores, atol=1e-5, rtol=0)
