"""Graphs whose nodes choose, replace or join texts: names of classes and inputs from their sources, named before each group."""

from graphs_of_extensions import T, enc, g, ks
from written import node as n

OTHER = 'a new lighthouse'
BOTH = f'{OTHER}\n{T}'


def said(**nodes: dict) -> dict[str, dict]:
    """A graph whose prompt comes from node ``c``."""
    return g(_3=ks(('6', 0)), _6=enc(['c', 0]), **nodes)


def turned(negation: str, wanted: bool) -> dict[str, dict]:
    """A switch that is turned by the opposite of a truth value."""
    switch = n('ComfySwitchNode', switch=['o', 0], on_true=['a', 0], on_false=['b', 0])
    texts = {'a': n('PrimitiveString', value=T), 'b': n('PrimitiveString', value=OTHER)}
    return said(c=switch, o=n(negation, value=['v', 0]), v=n('PrimitiveBoolean', value=not wanted), **texts)


GRAPHS = {
 # One of several lines, or all of them one after the other: WAS Node Suite, easy-use, Comfyroll
 'a line by chance': (said(c=n('Text Random Line', text=BOTH, seed=5)), None),
 'the only line': (said(c=n('Text Random Line', text=f'{T}\n', seed=5)), T),
 'lines one after the other': (said(c=n('easy promptLine', prompt=BOTH, start_index=0, max_rows=1000)), None),
 'prompts one after the other': (said(c=n('easy promptList', prompt_1=T, prompt_2=OTHER, prompt_3='')), None),
 'lines between two texts': (said(c=n('CR Prompt List', prepend_text='', multiline_text=BOTH, append_text='', start_index=0)), None),
 # The prompt of a frame: FizzNodes
 'prompts of frames': (said(c=n('BatchPromptSchedule', text=f'"0":"{OTHER}",\n"8":"{T}"', pre_text='', app_text='')), None),
 'the same prompt for every frame': (said(c=n('BatchPromptSchedule', text=f'"0":"{T}",\n"8":"{T}"', pre_text='', app_text='oil')), f'{T}, oil'),
 # Replaced, one after the other: Comfyroll, easy-use
 'two words replaced': (said(c=n('CR Text Replace', text='an old tower in a fog', find1='tower', replace1='lighthouse', find2='fog', replace2='storm', find3='', replace3='')), T),
 'a word replaced in a prompt': (said(c=n('easy promptReplace', prompt='an old tower in a storm', find1='tower', replace1='lighthouse', find2='')), T),
 # Joined: ComfyUI, WLSH, Prompt Composer; links come after what was typed
 'spaces at the ends of what is joined': (said(c=n('StringConcatenate', string_a='an old lighthouse ', string_b='in a storm', delimiter='')), T),
 'a comma in words': (said(c=n('Simple String Combine (WLSH)', input_string=['a', 0], addition='oil', separator='comma', placement='after'), a=n('PrimitiveString', value=T)), f'{T}, oil'),
 'the second part typed and the first by link': (said(c=n('StringConcatenate', string_b='oil', delimiter=', ', string_a=['a', 0]), a=n('PrimitiveString', value=T)), f'{T}, oil'),
 'what comes before by link': (said(c=n('PromptComposerTextSingle', text='oil', active=True, weight=1.0, text_in_opt=['a', 0]), a=n('PromptComposerTextSingle', text=T, active=True)), f'{T}, oil'),
 'a caption that is not known beside a style': (said(c=n('StringConcatenate', string_a='an oil painting', string_b=['f', 0], delimiter=', '), f=n('Florence2Run', image=['i', 0], task='caption')), None),
 # Truth values turned round: ComfyUI, Crystools, Impact Pack
 'a switch turned round': (turned('ComfyNotNode', True), T),
 'a switch turned round to the other side': (turned('Logic NOT', False), OTHER),
 'a switch that a comparison turns': (said(c=n('ComfySwitchNode', switch=['o', 0], on_true=['a', 0], on_false=['b', 0]), o=n('easy compare', a=['v', 0], b=0, comparison='a == b'), v=n('PrimitiveInt', value=0), a=n('PrimitiveString', value=T), b=n('PrimitiveString', value=OTHER)), None),
 # Encoders with a model of their own: Sana, PixArt, Kolors; samplers that encode: HiDream, Searge
 'sana': (g(_3=ks(('6', 0)), _6=n('SanaTextEncode', text=T, GEMMA=['l', 0]), l=n('GemmaLoader', model_name='google/gemma-2-2b', device='cuda')), T),
 'chatglm encodes': (g(_3=ks(('6', 0)), _6=n('MZ_ChatGLM3_V2', text=T, chatglm3_model=['l', 0])), T),
 'a sampler with a prompt': ({'3': n('HiDreamSampler', model_type='fast', prompt=T, negative_prompt='ugly', seed=1), '9': n('SaveImage', images=['3', 0])}, T),
 'searge': (g(_3=n('SeargeSDXLSampler2', base_model=['4', 0], base_positive=['6', 0], base_negative=['6', 1], latent_image=['5', 0], noise_seed=1, steps=9), _6=n('SeargeSDXLPromptEncoder', pos_g=T, pos_l='oil', neg_g='ugly', neg_l='bad')), f'{T}, oil'),
 # Words that a style or a LoRA adds are not known, and a person's stay the prompt: WAS Node Suite, Lora-Training-in-Comfy
 'no style was chosen': (said(c=n('Text Concatenate', delimiter=', ', text_a=T, text_b=['s', 0]), s=n('Prompt Multiple Styles Selector', style1='None', style2='None')), T),
 'a style was chosen': (said(c=n('Text Concatenate', delimiter=', ', text_a=T, text_b=['s', 0]), s=n('Prompt Styles Selector', style='cinematic')), T),
 'trigger words': (said(c=n('Text Concatenate', delimiter=', ', text_a=['l', 0], text_b=T), l=n('Text List to Text', delimiter=', ', text_list=['s', 0]), s=n('LoraLoaderStackedVanilla', lora_name='some.safetensors', lora_weight=0.6)), T),
 # What is shown of a text that is known in part: easy-use keeps it in lists; Raffle's own text is a list of tags
 'tags by chance beside a text': (said(c=n('StringConcatenate', string_a='an old lighthouse', string_b=['r', 0], delimiter=' '), r=n('Raffle', text='in a fog', seed=3)), None),
 'tags by chance that were shown': (said(c=n('StringConcatenate', string_a='an old lighthouse', string_b=['r', 0], delimiter=' '), r=n('Raffle', text='in a fog', seed=3), s=n('easy showAnything', anything=['c', 0], text=[[T]])), T),
 # What was shown of a language model's answer comes before what it was told
 'the answer that was shown': (said(c=n('ShowText|pysssss', text=['l', 0], text_0=T), l=n('GeminiChatNode', system_instruction='Be brief', prompt='a lighthouse at night')), T),
 'the answer that was shown beside': (said(c=n('TextGenerate', prompt='a lighthouse at night'), s=n('easy showAnything', anything=['c', 0], text=T)), T),
 # A describer's task is no prompt, whatever it is called
 'a describer with a system text': (said(c=n('OllamaGenerateV2', prompt='describe the picture in detail', system='Be brief', images=['i', 0])), None),
}  # fmt: skip
