"""Which prompt is a picture's? Ridge regression from a picture's summary to its prompt's mean word.

The solution is exact, so it is put into the network as it is; no step of training changes it.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pyiqa_moeagiqa.archs.matching import PromptMatching

PENALTY = 2.0
PARTS = 5
FAITHFUL = 0.15  # pictures that hardly show their prompt count for no less than at this share of the mean alignment


def fit(matching: PromptMatching, summaries: Tensor, prompts: Tensor, prompt: np.ndarray, alignment: Tensor) -> None:
    """Set the two embeddings: a prompt's is its mean word less that of all training prompts, a picture's regresses on it.

    Args:
        matching: what is set; its width is that of the words.
        summaries: (N, D) of the training pictures.
        prompts: (P, E) mean words of all prompts.
        prompt: (N,) the number of each picture's prompt.
        alignment: (N,) in [0, 1]; a picture that shows its prompt badly counts less.
    """
    centre = prompts[np.unique(prompt)].mean(0)
    mean, deviation = summaries.mean(0), summaries.std(0) + 1e-6
    seen = (summaries - mean) / deviation
    width = seen.shape[1]
    noise = PENALTY / (alignment / alignment.mean()).clamp(min=FAITHFUL).double()
    dual = torch.linalg.solve(
        (seen @ seen.T).double() / width + noise.diag(), F.normalize(prompts[prompt] - centre).double()
    )
    weight = dual.T.float() @ seen / width / deviation
    with torch.no_grad():
        matching.embed_image.weight.copy_(weight)
        matching.embed_image.bias.copy_(-weight @ mean)
        matching.embed_prompt.weight.copy_(torch.eye(len(centre)))
        matching.embed_prompt.bias.copy_(-centre)


def unseen_embeddings(
    matching: PromptMatching, summaries: Tensor, prompts: Tensor, prompt: np.ndarray, alignment: Tensor, seed: int
) -> Tensor:
    """Embeddings (N, d) of training pictures, each by a regression that saw no picture of its prompt.

    Of a picture that it was fitted to, the regression knows the prompt too well: alignment would learn to trust it more
    than it may on new pictures.
    """
    part = (np.random.RandomState(seed).permutation(int(prompt.max()) + 1) % PARTS)[prompt]
    embeddings = torch.empty(len(summaries), matching.embed_image.out_features)
    for number in range(PARTS):
        rows, held = np.flatnonzero(part != number), np.flatnonzero(part == number)
        fit(matching, summaries[rows], prompts, prompt[rows], alignment[rows])
        embeddings[held] = matching.embed_image(summaries[held]).detach()
    return embeddings
