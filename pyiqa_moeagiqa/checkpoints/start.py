"""Builds the network where training starts: from a checkpoint, or from published encoders and otherwise fresh."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from torch import nn

from ..archs.config import MoEAGIQAConfig
from ..archs.lora import add_adapters
from ..archs.moeagiqa_arch import MoEAGIQA
from ..archs.prior_arch import MoEAGIQAPrior
from ..options import OptionError, quoted, unknown_option
from ..section import LEFT_OUT, Said, Section
from .complete import complete, encoder_weights, vit_weights
from .file import CheckpointError, read, read_header
from .find import find
from .load import check_finite, check_names, network_with, outline, require_room_for_prompts
from .partial import is_gone
from .sources import stated_options

HOW = (
    "give the encoders' sources, such as 'weights: {visual: timm, semantic: imagereward}', or a checkpoint, such "
    "as 'weights: {checkpoint: moeagiqa}'"
)
SOURCES_OF = {
    'visual': "give timm's file, or 'timm' to download it",
    'prior': 'pre-train it with options/moeagiqa_prior.yml, or give another file',
    'semantic': "give another file, or 'imagereward', which is downloaded",
}
Source = Annotated[str | Path, Said("a name or a file, such as 'weights: {visual: timm, semantic: imagereward}'")]


class StartOptions(Section):
    """Where training starts: ``checkpoint``, or one entry for each encoder of the network."""

    checkpoint: Source = LEFT_OUT
    """A whole checkpoint, as ``create_metric`` takes it. Other options of ``network`` then change its configuration."""
    visual: Source = LEFT_OUT
    """The ViT: 'timm', or a file of timm or of this package. Here and below, a folder or ``hf://OWNER/NAME`` stands for the weights
    in it."""
    prior: Source = LEFT_OUT
    """The prior's ViT: 'timm', or a file of timm, of the released prior or of this package."""
    semantic: Source = LEFT_OUT
    """The text encoder: 'imagereward' (its file is looked for as for the metric, then downloaded), its file, a checkpoint of this
    package, or for a 'bert' or 'clip' a folder of the transformers library, or for a MobileCLIP of OpenCLIP, which also states its
    sizes."""


def start_network(options: Mapping[str, Any]) -> tuple[MoEAGIQA, dict[str, Any]]:
    """Build the network that an option file's ``network:`` section describes, with the weights that its ``weights:`` names.

    Args:
        options: the fields of MoEAGIQAConfig, and ``weights``: either ``checkpoint`` (what ``find`` takes; the other
            fields then change its configuration), or one entry for each encoder of the configuration: ``visual`` and
            ``prior`` ('timm', or a file of timm's, the released prior's or this package's) and ``semantic``
            ('imagereward', its file, a checkpoint of this package, a BERT, CLIP or SigLIP of the transformers library, or a
            MobileCLIP of OpenCLIP; their ``config.json`` or ``open_clip_config.json`` fills in the ``semantic_options`` that are
            left out). A folder or ``hf://OWNER/NAME`` stands for the weights in it.

    Returns:
        The network, with new adapters if it has a ``lora_rank``, and the header's info of the checkpoint that it starts from.

    Raises:
        OptionError: for an unknown option, or if weights are not named.
        CheckpointError: for weights that cannot be obtained or do not fit.
    """
    config, weights = network_config(options), options['weights']
    if 'checkpoint' in weights:
        checkpoint = complete(read(find(weights['checkpoint'])))
        network, info = (
            network_with(config, checkpoint.weights, weights['checkpoint'], checkpoint.config.crop_size),
            checkpoint.info,
        )
    else:
        network, info = _network_of_encoders(config, weights), {}
    if config.lora_rank:
        add_adapters(network)
    return network, info


def _network_of_encoders(config: MoEAGIQAConfig, weights: Mapping[str, Any]) -> MoEAGIQA:
    _require_sources(config, weights)
    own = encoder_weights(outline(config), weights)  # whether they fit is known before the network takes memory
    network = MoEAGIQA(config)
    network.load_state_dict(own, strict=False)
    _require_room(network, weights)
    for projection in network.projections:  # as in the released implementation; torch's own are narrower
        nn.init.normal_(projection.weight, std=projection.in_features**-0.5)
    network.find_shared_trunk()
    return network


def _require_sources(config: MoEAGIQAConfig, weights: Mapping[str, str]) -> None:
    """Raise an OptionError if an encoder has no source, or a file that is not there, before any other source is fetched."""
    for part in config.encoders:
        if part not in weights:
            raise OptionError(f'network option weights lacks {part!r}: {HOW}.')
        if is_gone(str(weights[part])):
            raise OptionError(
                f'network.weights option {part} is {weights[part]}: there is no such file; {SOURCES_OF[part]}.'
            )


def network_config(options: Mapping[str, Any]) -> MoEAGIQAConfig:
    """The configuration of the network that ``start_network`` builds; raises as it does."""
    given = {name: value for name, value in options.items() if name not in ('type', 'weights')}
    weights = options.get('weights')
    for name in given:
        if name not in MoEAGIQAConfig.model_fields:
            raise unknown_option(name, ['type', 'weights', *MoEAGIQAConfig.model_fields], 'network')
    if not isinstance(weights, Mapping) or not weights:
        raise OptionError(f'The network section has no weights: {HOW}.')
    StartOptions.check(weights, 'network weights')
    if 'checkpoint' not in weights:
        return MoEAGIQAConfig.from_options(_with_stated_sizes(given, weights))
    if len(weights) > 1:
        raise OptionError(
            'network option weights has both a checkpoint and encoders: give either the checkpoint or the encoders.'
        )
    return read_header(find(weights['checkpoint']))[0].changed(**given)


def _with_stated_sizes(options: Mapping[str, Any], weights: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in ``semantic_options`` from what lies beside the text encoder's weights; what the options themselves say counts."""
    semantic, source = options.get('semantic'), weights.get('semantic')
    if semantic not in ('bert', 'clip') or source is None:
        return dict(options)
    own, stated = options.get('semantic_options', {}), stated_options(str(source), semantic)
    return {**options, 'semantic_options': _filled(own, stated)}


def _filled(own: Any, stated: Mapping[str, Any]) -> Any:
    """Return options with what ``stated`` adds to them and to their sections; what is no section is left, to be refused later."""
    if not isinstance(own, Mapping):
        return own
    sections = {
        name: _filled(own[name], part) for name, part in stated.items() if name in own and isinstance(part, Mapping)
    }
    return {**stated, **own, **sections}


def _require_room(network: MoEAGIQA, weights: Mapping[str, Any]) -> None:
    """Raise a CheckpointError for a text encoder whose words or places are not those that prompts need."""
    try:
        require_room_for_prompts(network)
    except OptionError as error:
        raise CheckpointError(f'{weights["semantic"]}: {quoted(error)}; give another encoder.') from None


def start_prior(options: Mapping[str, Any]) -> MoEAGIQAPrior:
    """Build the prior that an option file's ``network:`` section describes, with the weights that its ``weights:`` names.

    Args:
        options: see ``PriorOptions``.

    Raises:
        OptionError: for an option that is unknown, missing or out of range.
        CheckpointError: if the weights cannot be obtained or belong to another ViT.
    """
    network = MoEAGIQAPrior(**{name: value for name, value in options.items() if name != 'type'})
    weights = network.options.weights
    own = vit_weights(network.vit, weights, network.options)
    check_names(own, network.vit.state_dict(), weights)
    check_finite(own, weights)
    network.vit.load_state_dict(own)
    return network
