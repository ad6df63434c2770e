"""Graphs as extensions of ComfyUI have them run: names of classes and inputs from their sources, named before each group."""

from typing import Any

from written import node as n


def ks(
    positive: str | tuple,
    negative: str | tuple = ('7', 0),
    latent: tuple = ('5', 0),
    kind: str = 'KSampler',
    **more: Any,
) -> dict:
    """A sampler with the inputs of nodes.py's KSampler."""
    settings = {'seed': 5, 'steps': 20, 'cfg': 7, 'sampler_name': 'euler', 'scheduler': 'normal', 'denoise': 1}
    links = {'model': ['4', 0], 'positive': list(positive), 'negative': list(negative), 'latent_image': list(latent)}
    return n(kind, **settings, **links, **more)


def enc(text: str | list) -> dict:
    """nodes.py's encoder of a text, typed or by link."""
    return n('CLIPTextEncode', text=text, clip=['4', 1])


BASE = {
    '4': n('CheckpointLoaderSimple', ckpt_name='m.safetensors'),
    '5': n('EmptyLatentImage', width=512, height=512, batch_size=1),
    '7': enc('ugly, low quality'),
    '8': n('VAEDecode', samples=['3', 0], vae=['4', 2]),
    '9': n('SaveImage', images=['8', 0], filename_prefix='out'),
}


def g(**nodes: dict) -> dict[str, dict]:
    """A whole graph: what every one has, and the nodes that differ."""
    return BASE | {number.lstrip('_'): node for number, node in nodes.items()}


T = 'an old lighthouse in a storm'
GRAPHS = {
 # Efficiency Nodes: efficiency_nodes.py; KSampler (Efficient) takes positive from loader 1, pack sdxl tuple
 'ksampler adv efficient with script': (g(_3=ks(('2', 1), ('2', 2), ('2', 3), 'KSampler Adv. (Efficient)', script=['11', 0]), _2=n('Efficient Loader', ckpt_name='m', vae_name='Baked VAE', lora_name='None', positive=['t', 0], negative='bad', token_normalization='none'), t=n('Text Multiline', text=T), _11=n('HighRes-Fix Script', upscale_type='latent', seed=3, steps=10)), T),
 'apply controlnet stack': (g(_3=ks(('2', 0), ('2', 1)), _2=n('Apply ControlNet Stack', positive=['6', 0], negative=['7', 0], cnet_stack=['1', 0]), _6=enc(T)), T),
 # Impact Pack
 'to and from basic pipe': (g(_3=ks(('f', 3), ('f', 4)), f=n('FromBasicPipe', basic_pipe=['p', 0]), p=n('ToBasicPipe', model=['4', 0], clip=['4', 1], vae=['4', 2], positive=['6', 0], negative=['7', 0]), _6=enc(T)), T),
 'edit basic pipe replaces positive': (g(_3=n('ImpactKSamplerBasicPipe', seed=1, steps=8, cfg=3, sampler_name='euler', basic_pipe=['e', 0], latent_image=['5', 0]), e=n('EditBasicPipe', basic_pipe=['p', 0], positive=['6', 0]), p=n('ToBasicPipe', model=['4', 0], clip=['4', 1], vae=['4', 2], positive=['x', 0], negative=['7', 0]), x=enc('something else'), _6=enc(T)), T),
 'face detailer after the first pass': (g(_3=ks(('6', 0)), _6=enc(T), f=n('FaceDetailer', image=['8', 0], seed=1, steps=20, cfg=7, sampler_name='euler', positive=['d', 0], negative=['7', 0], wildcard='', bbox_detector=['b', 0]), d=enc('detailed face'), _9=n('SaveImage', images=['f', 0], filename_prefix='x')), T),
 'detailer for segs with a detailer pipe': (g(_3=ks(('6', 0)), _6=enc(T), f=n('DetailerForEachPipe', image=['8', 0], segs=['s', 0], seed=1, steps=20, cfg=7, sampler_name='euler', basic_pipe=['p', 0], wildcard='sharp eyes'), p=n('ToBasicPipe', model=['4', 0], positive=['d', 0], negative=['7', 0]), d=enc('eyes'), _9=n('SaveImage', images=['f', 0], filename_prefix='x')), T),
 'wildcard processor into encoder': (g(_3=ks(('6', 0)), _6=enc(['w', 0]), w=n('ImpactWildcardProcessor', wildcard_text='__place__ in a storm', populated_text=T, mode='populate', seed=3)), T),
 'conditional branch': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('ImpactConditionalBranch', cond=['v', 0], tt_value=['a', 0], ff_value=['b', 0]), v=n('PrimitiveBoolean', value=False), a=n('String Literal', string='not this'), b=n('String Literal', string=T)), T),
 'string selector': (g(_3=ks(('6', 0)), _6=enc(['w', 0]), w=n('ImpactStringSelector', strings='one thing\n' + T, multiline=False, select=1)), T),
 'concat conditionings impact': (g(_3=ks(('c', 0)), c=n('ImpactConcatConditionings', conditioning1=['6', 0], conditioning2=['x', 0]), _6=enc(T), x=enc('oil painting')), T + ', oil painting'),
 'regional sampler': (g(_3=n('RegionalSampler', seed=1, steps=20, cfg=7, denoise=1, samples=['5', 0], base_sampler=['k', 0], regional_prompts=['r', 0]), k=n('KSamplerAdvancedProvider', cfg=8, sampler_name='euler', scheduler='normal', basic_pipe=['p', 0]), p=n('ToBasicPipe', model=['4', 0], positive=['6', 0], negative=['7', 0]), r=n('RegionalPrompt', mask=['m', 0], advanced_sampler=['k', 0]), _6=enc(T)), T),
 # rgthree
 'power prompt with text outputs': (g(_3=ks(('6', 0)), _6=enc(['p', 3]) , p=n('Power Prompt (rgthree)', prompt=T + '<lora:film:1>', opt_model=['4', 0], opt_clip=['4', 1], insert_lora='CHOOSE', insert_embedding='CHOOSE', insert_saved='CHOOSE', target_width=0)), T),
 'sdxl power prompt positive': (g(_3=ks(('p', 0)), p=n('SDXL Power Prompt - Positive (rgthree)', prompt_g=T, prompt_l='storm', opt_clip=['4', 1])), T + ', storm'),
 'any switch numerically first': (g(_3=ks(('s', 0)), s=n('Any Switch (rgthree)', any_02=['x', 0], any_01=['6', 0]), _6=enc(T), x=enc('other')), T),
 'context switch big': (g(_3=ks(('s', 4), ('s', 5)), s=n('Context Switch Big (rgthree)', ctx_01=['a', 0], ctx_02=['b', 0]), a=n('Context Big (rgthree)', model=['4', 0], positive=['6', 0], negative=['7', 0]), b=n('Context Big (rgthree)', positive=['x', 0]), _6=enc(T), x=enc('other')), T),
 'display any passes nothing': (g(_3=ks(('6', 0)), _6=enc(T), d=n('Display Any (rgthree)', source=['z', 0])), T),
 # easy-use
 'easy a1111 loader': ({'1': n('easy a1111Loader', ckpt_name='m', vae_name='Baked VAE', positive=T, negative='bad', lora_name='None', a1111_prompt_style=False), '2': n('easy kSampler', pipe=['1', 0], steps=20, cfg=8, sampler_name='euler', image_output='Preview', seed=3), '9': n('SaveImage', images=['2', 1], filename_prefix='x')}, T),
 'easy positive joined with styles': (g(_3=ks(('6', 0)), _6=enc(['j', 0]), j=n('easy promptConcat', prompt1=['a', 0], prompt2=['b', 0], separator=', '), a=n('easy positive', positive=T), b=n('easy prompt', text='oil on canvas', prefix='Select the prefix add to the text')), T + ', oil on canvas'),
 'easy if else': (g(_3=ks(('6', 0)), _6=enc(['i', 0]), i=n('easy ifElse', boolean=True, on_true=['a', 0], on_false=['b', 0]), a=n('easy positive', positive=T), b=n('easy positive', positive='no')), T),
 'easy index switch counts from nought': (g(_3=ks(('6', 0)), _6=enc(['i', 0]), i=n('easy anythingIndexSwitch', index=1, value0=['b', 0], value1=['a', 0]), a=n('easy positive', positive=T), b=n('easy positive', positive='no')), T),
 # Comfyroll
 'cr combine prompt': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('CR Combine Prompt', part1=T, part2='', part3='', part4='', separator=',')), T),
 'cr text input switch 4 way': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('CR Text Input Switch (4 way)', Input=3, text1=['a', 0], text2=['a', 0], text3=['b', 0]), a=n('CR Text', text='no'), b=n('CR Text', text=T)), T),
 'cr prompt text': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('CR Prompt Text', prompt=T)), T),
 # WAS
 'was text input switch, boolean as link': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('Text Input Switch', text_a=['a', 0], text_b=['b', 0], boolean=['l', 0]), l=n('Logic Boolean', boolean=1), a=n('Text Multiline', text=T), b=n('Text Multiline', text='no')), T),
 'was find and replace': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('Text Find and Replace', text=['a', 0], find='tower', replace='lighthouse'), a=n('Text Multiline', text='an old tower in a storm')), T),
 'was concatenate with an empty part': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('Text Concatenate', delimiter=', ', clean_whitespace='true', text_a=['a', 0], text_b=['b', 0]), a=n('Text Multiline', text=T), b=n('Text Multiline', text='')), T),
 'was blip alone': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('BLIP Analyze Image', images=['i', 0], mode='caption', question='What does the background consist of?')), None),
 # pysssss
 'string function append': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('StringFunction|pysssss', action='append', tidy_tags='yes', text_a=T, text_b='waves', text_c='')), T + ', waves'),
 'show text of a tagger beside': (g(_3=ks(('6', 0)), _6=enc(['w', 0]), w=n('WD14Tagger|pysssss', image=['i', 0], model='wd', exclude_tags='hat'), s=n('ShowText|pysssss', text=['w', 0], text_0='lighthouse, storm, sea')), 'lighthouse, storm, sea'),
 # core
 'flux guidance and reference latent': (g(_3=n('SamplerCustomAdvanced', noise=['n', 0], guider=['gd', 0], sampler=['s', 0], sigmas=['sg', 0], latent_image=['5', 0]), gd=n('BasicGuider', model=['4', 0], conditioning=['r', 0]), r=n('ReferenceLatent', conditioning=['fg', 0], latent=['v', 0]), fg=n('FluxGuidance', guidance=3, conditioning=['6', 0]), _6=enc(T), v=n('VAEEncode', pixels=['i', 0], vae=['4', 2])), T),
 'area composition': (g(_3=ks(('c', 0)), c=n('ConditioningCombine', conditioning_1=['6', 0], conditioning_2=['a', 0]), a=n('ConditioningSetArea', conditioning=['x', 0], width=64, height=64, x=0, y=0, strength=1), _6=enc(T), x=enc('a red boat')), T + ', a red boat'),
 'inpaint model conditioning': (g(_3=ks(('c', 0), ('c', 1), ('c', 2)), c=n('InpaintModelConditioning', positive=['6', 0], negative=['7', 0], vae=['4', 2], pixels=['i', 0], mask=['i', 1], noise_mask=True), _6=enc(T), i=n('LoadImage', image='clipspace/a photo of me.png [input]')), T),
 'unclip': (g(_3=ks(('c', 0)), c=n('unCLIPConditioning', conditioning=['6', 0], clip_vision_output=['v', 0], strength=1), _6=enc(T), v=n('CLIPVisionEncode', clip_vision=['l', 0], image=['i', 0]), i=n('LoadImage', image='a.png')), T),
 'ipadapter and pulid in the model': (g(_3=ks(('6', 0)), _6=enc(T), ip=n('IPAdapterAdvanced', model=['4', 0], ipadapter=['x', 0], image=['o', 0]), o=n('VAEDecode', samples=['k2', 0], vae=['4', 2]), k2=ks(('y', 0)), y=enc('a reference portrait')), T),
 'latent upscaled second pass with its own words': (g(_3=ks(('p2', 0), lat=('u', 0)), u=n('LatentUpscale', samples=['k1', 0], width=1024, height=1024), k1=ks(('6', 0)), _6=enc(T), p2=enc('crisp')), T),
 'empty prompt everywhere': (g(_3=ks(('6', 0)), _6=enc('')), None),
 'two pictures, two prompts': (g(_3=ks(('6', 0)), _6=enc(T), k=ks(('x', 0)), x=enc('a quiet harbour'), v=n('VAEDecode', samples=['k', 0], vae=['4', 2]), s=n('SaveImage', images=['v', 0], filename_prefix='b')), None),
 'one saved, another only previewed': (g(_3=ks(('6', 0)), _6=enc(T), k=ks(('x', 0)), x=enc('a quiet harbour'), v=n('VAEDecode', samples=['k', 0], vae=['4', 2]), s=n('PreviewImage', images=['v', 0])), T),
 'string concatenate of two and a template': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('StringConcatenate', string_a=['a', 0], string_b='in a storm', delimiter=' '), a=n('PrimitiveString', value='an old lighthouse')), T),
 'regex switch on a number that is a string': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('ImpactSwitch', select=['i', 0], sel_mode=False, input1=['a', 0], input2=['b', 0]), i=n('Int', Number='2'), a=n('String', String='no'), b=n('String', String=T)), T),
 'sd3 controlnet and three encoders': (g(_3=ks(('c', 0), ('c', 1)), c=n('ControlNetApplySD3', positive=['6', 0], negative=['7', 0], control_net=['x', 0], vae=['4', 2], image=['i', 0]), _6=n('CLIPTextEncodeSD3', clip=['4', 1], clip_l=T, clip_g=T, t5xxl=T, empty_padding='none')), T),
 'image service, then an upscale by another': ({'1': n('OpenAIGPTImage1', prompt=T, quality='low', seed=1), '2': n('TopazImageEnhance', image=['1', 0], model='Reimagine', prompt=''), '9': n('SaveImage', images=['2', 0], filename_prefix='x')}, T),
 'only a background remover': ({'1': n('LoadImage', image='a.png'), '2': n('GroundingDinoSAMSegment (segment anything)', prompt='the dog', image=['1', 0], threshold=.3), '9': n('SaveImage', images=['2', 0], filename_prefix='x')}, None),
 'llm with system and idea': (g(_3=ks(('6', 0)), _6=enc(['o', 0]), o=n('OllamaGenerateAdvance', prompt='Write a prompt about a lighthouse', system='You are an art director', model='llama3')), None),
 'saver metadata text is not the prompt': (g(_3=ks(('6', 0)), _6=enc(T), _9=n('Image Saver', images=['8', 0], filename='%time', path='', positive='', negative='', steps=20, seed_value=1, modelname='m')), T),
 'instruct pix2pix': (g(_3=n('SamplerCustomAdvanced', noise=['n', 0], guider=['d', 0], sampler=['s', 0], sigmas=['z', 0], latent_image=['c', 2]), d=n('DualCFGGuider', model=['4', 0], cond1=['c', 0], cond2=['c', 1], negative=['7', 0], cfg_conds=3, cfg_cond2_negative=1.5), c=n('InstructPixToPixConditioning', positive=['6', 0], negative=['7', 0], vae=['4', 2], pixels=['i', 0]), _6=enc(T)), T),
 'style model, gligen and mask': (g(_3=ks(('s', 0)), s=n('StyleModelApply', conditioning=['gb', 0], style_model=['x', 0], clip_vision_output=['v', 0], strength=1, strength_type='multiply'), gb=n('GLIGENTextBoxApply', conditioning_to=['6', 0], clip=['4', 1], gligen_textbox_model=['q', 0], text='a small boat', width=8, height=8, x=0, y=0), _6=enc(T)), T + ', a small boat'),
 # Kijai, Kolors, Hunyuan
 'kolors': ({'1': n('KolorsTextEncode', prompt=T, negative_prompt='bad', num_images_per_prompt=1, chatglm3_model=['l', 0]), '3': n('KolorsSampler', kolors_model=['k', 0], kolors_embeds=['1', 0], width=64, height=64, seed=1, steps=25, cfg=5), '8': n('VAEDecode', samples=['3', 0], vae=['v', 0]), '9': n('SaveImage', images=['8', 0], filename_prefix='x')}, T),
 'hunyuan wrapper': ({'1': n('HyVideoTextEncode', text_encoders=['l', 0], prompt=T, force_offload=True, prompt_template='video'), '3': n('HyVideoSampler', model=['m', 0], hyvid_embeds=['1', 0], width=64, height=64, steps=30, seed=1), '9': n('VHS_VideoCombine', images=['8', 0]), '8': n('HyVideoDecode', vae=['v', 0], samples=['3', 0])}, T),
 'inspire ksampler': (g(_3=ks(('6', 0), kind='KSampler //Inspire', noise_mode='GPU(=A1111)'), _6=enc(T)), T),
 'inspire regional prompt': (g(_3=ks(('6', 0)), _6=n('WildcardEncode //Inspire', model=['4', 0], clip=['4', 1], token_normalization='none', weight_interpretation='A1111', wildcard_text='a __x__', populated_text=T, mode='populate', seed=1) ), T),
 'sdxl styler and refiner': (g(_3=ks(('6', 0)), _6=n('CLIPTextEncodeSDXL', clip=['4', 1], width=1024, text_g=['s', 0], text_l=['s', 0]), s=n('SDXLPromptStyler', text_positive=T, text_negative='', style='sai-anime', log_prompt='No'), _8=n('VAEDecode', samples=['r', 0], vae=['4', 2]), r=n('KSamplerAdvanced', add_noise='disable', noise_seed=1, steps=25, positive=['rp', 0], negative=['7', 0], latent_image=['3', 0]), rp=n('CLIPTextEncodeSDXLRefiner', ascore=6, width=1024, height=1024, text='soft light', clip=['4', 1])), T),
 'photomaker': (g(_3=ks(('6', 0)), _6=n('PhotoMakerEncode', photomaker=['p', 0], image=['i', 0], clip=['4', 1], text='a photo of a man img at sea')), 'a photo of a man img at sea'),
 'mikey prompt with style': (g(_3=ks(('6', 0)), _6=n('CLIPTextEncodeSDXL', clip=['4', 1], text_g=['s', 1], text_l=['s', 1]), s=n('PromptWithStyle', positive_prompt=T, negative_prompt='bad', style='none', ratio_selected='1:1', custom_size='false', seed=1)), T),
 'ella': (g(_3=ks(('6', 0)), _6=n('EllaTextEncode', ella=['e', 0], text_encoder=['t', 0], text=T, sigma=['s', 0])), T),
 'tsc sdxl': ({'1': n('Eff. Loader SDXL', base_ckpt_name='m', positive=['p', 0], negative='bad', vae_name='x'), 'p': n('PrimitiveStringMultiline', value=T), '3': n('KSampler SDXL (Eff.)', noise_seed=1, steps=20, cfg=7, sampler_name='euler', sdxl_tuple=['1', 0], latent_image=['1', 1]), '9': n('SaveImage', images=['3', 3], filename_prefix='x')}, T),
 'ttn pipe': ({'1': n('ttN pipeLoader_v2', ckpt_name='m', positive=T, negative='bad', seed=1), '2': n('ttN pipeKSampler_v2', pipe=['1', 0], steps=20, cfg=7, sampler_name='euler', seed=1, image_output='Save'), '9': n('SaveImage', images=['2', 8], filename_prefix='x')}, T),
 'attention couple regions': (g(_3=ks(('6', 0)) , _6=enc(T), c=n('AttentionCouple|cgem156', model=['4', 0], base_mask=['m', 0], cond_1=['x', 0], mask_1=['m', 0]), x=enc('left side')), T),
 'negative prompt written by a service first': ({'2': n('CR Prompt Text', prompt='bad'), '1': n('CR Prompt Text', prompt=T), '3': n('BriaImageEditNode', prompt=['1', 0], negative_prompt=['2', 0], image=['i', 0], seed=1, steps=50), '9': n('SaveImage', images=['3', 0], filename_prefix='x')}, T),
 'brushnet': (g(_3=ks(('b', 1), ('b', 2), ('b', 3)), b=n('BrushNet', model=['4', 0], vae=['4', 2], image=['i', 0], mask=['m', 0], brushnet=['l', 0], positive=['6', 0], negative=['7', 0], scale=1), _6=enc(T)), T),
 'boolean to string in the text': (g(_3=ks(('6', 0)), _6=enc(['c', 0]), c=n('easy convertAnything', **{'*': ['b', 0], 'output_type': 'string'}), b=n('PrimitiveBoolean', value=False)), None),
}  # fmt: skip
