"""What a process does that was given a reward: it scores, lets a fork score, and joins a mean with another process."""

import multiprocessing

import torch
import torch.distributed as dist

from pyiqa_moeagiqa.metrics.torchmetrics import MoEAGIQAScore

PROCESSES = 2
PATIENCE = 300  # seconds, for what takes one where nothing hangs


def work(rank: int, reward, weights: str, images: torch.Tensor, prompts: list[str], folder: str) -> None:
    """Leave in the folder what this process, its fork, and both processes together found."""
    torch.set_num_threads(2)  # OpenMP's threads start with the first score; a fork has none of them
    found = {'own': reward(images, prompts), 'fork': in_a_fork(reward, images, prompts)}
    dist.init_process_group('gloo', f'file://{folder}/meeting', rank=rank, world_size=PROCESSES)
    score = MoEAGIQAScore(metric_options={'pretrained_model_path': weights})
    rows = slice(None, 1) if rank == 0 else slice(1, None)  # unequal shares
    score.update(images[rows], prompts[rows])
    found |= {'together': score.compute(), 'again': score.compute(), 'count': score.count}
    dist.destroy_process_group()
    torch.save(found, f'{folder}/{rank}.pt')


def in_a_fork(reward, images: torch.Tensor, prompts: list[str]) -> list[float]:
    context = multiprocessing.get_context('fork')
    receives, sends = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sends.send(reward(images, prompts).tolist()))
    child.start()
    answered = receives.poll(PATIENCE)
    child.kill()
    return receives.recv() if answered else []
