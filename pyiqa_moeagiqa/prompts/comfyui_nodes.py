"""Facts about ComfyUI's nodes: what names of inputs and classes mean.

Names of inputs decide if possible, because there are countless nodes of extensions. Classes are named only where the name of
an input is not enough. Sources: ComfyUI's nodes.py and comfy_extras, its documentation of nodes, and the extensions' node classes.
"""

import re

# Inputs of a sampler besides its conditioning (nodes.py: common_ksampler; nodes_custom_sampler.py)
SAMPLER_SETTINGS = {'latent_image', 'sampler_name', 'sampler', 'steps', 'seed', 'noise_seed', 'num_inference_steps'}
SAMPLER = re.compile(r'sampler', re.IGNORECASE)
# Nodes that only pass settings on, also those of a sampler: rgthree's contexts, pipes
BUNDLE = re.compile(r'context|pipe', re.IGNORECASE)
# Samplers' names for the input that describes the picture: KSampler, SamplerCustomAdvanced, x-flux, WanVideoWrapper,
# KwaiKolors ...
ASKS = re.compile(
    r'guider|(?:base_)?positive(?:_?\w+)?|pos|conditioning|cond\d?|cond_pos|(?:text|prompt|positive|kolors|hyvid)_embeds'
)
# Bundles that samplers of extensions take instead: Impact Pack's basic pipe, easy-use's pipe, rgthree's context, Efficiency's tuple
PIPES = re.compile(r'(?:\w+_)?pipe(?:_\w+)?|(?:base_)?ctx|context|sdxl_tuple|base_sampler', re.IGNORECASE)
# The same for nodes without a sampler's settings: loaders that encode, samplers that take a pipe, and image services
ASKS_ALONE = re.compile(
    r'(?:main_|positive_|user_|image_|text_)?prompt|guider|positive(?:_?\w+)?|pos|(?:text|prompt)_embeds'
)

POSITIVE = re.compile(r'positive|(?:^|_)pos(?:_|\d|$)', re.IGNORECASE)
NEGATIVE = re.compile(r'negative|(?:^|_)neg(?:_|\d|$)|uncond', re.IGNORECASE)

TEXT = re.compile(
    r'(?:(?:user|main|secondary|positive|pos|base|full|input|in|opt|pre|app|append|prepend|wildcard|multiline|scene|subject|style)_)?'
    r'(?:text|string|str|prompt|value|positive|caption|content|part)(?:_?(?:\w|\d+|in|in_opt|input|left|right|positive|pos|prompt|text))?'
    r'(?:_[gl])?'
    r'|clip_?[lgh]|t5(?:xxl)?|mt5xl|bert|llama|qwen\w*_\d+b|gemma\w*'  # encoders of SDXL, SD3, Flux, HiDream, Hunyuan-DiT, Kandinsky 5
    r'|prepend|body|append|prefix|suffix|addition|pos(?:_[glr])?|tags|choice',  # TextPlusPlus, WLSH, Searge, CustomCombo
    re.IGNORECASE,
)
# Inputs that take a conditioning; a node's own text, such as GLIGEN's box, is added to its words
CONDITIONING = re.compile(r'conditioning(?:_?\w+)?|cond(?:_?(?:\w|\d+|to|from|new))?|clip_regions', re.IGNORECASE)
# Inputs through which no words come
NO_WAY = re.compile(
    r'clip|clip\d|clip_vision.*|.*(?:vae|model|control_net|image|mask|latent|pixels|sigmas|unet|gligen|bbox|segm_|sam_|lora|'
    r'audio|video|photomaker|insightface|ipadapter).*|samples|noise|sampler|style|guidance|find|replace|regex.*|system.*|'
    r'(?:linebreak|delimiter|separator).*',
    re.IGNORECASE,
)
# Inputs through which neither a picture nor the latent it is made from comes
NO_PICTURE = re.compile(
    r'(?:(?:refiner|base|opt|optional)_)?(?:positive|negative|pos|neg|conditioning|cond|guider|model|clip|vae)(?:_?\w*)?|.*(?:mask|embeds|prompt'
    r'|control_net|clip_vision|ipadapter|style_model|reference|text|string).*|noise|sigmas|sampler|width|height|seed|steps|cfg|switch',
    re.IGNORECASE,
)

# Classes that give no words, or remove the words from the conditioning that they are given (nodes.py)
SILENT = {'ConditioningZeroOut'}
# Numbers, formulas, detectors, makers of random tags, scripts, sound and other nodes whose texts are no prompt
NO_PROMPT = re.compile(
    r'math|formula|expression|calculat|number|integer|(?:^|[^a-z])(?:int|float)(?:[^a-z]|$)|Primitive(?:Int|Float|Boolean)|DataMonitor'
    r'|dino|(?<![a-z])sam(?:\d|$|[^a-z])|(?-i:SAM[23A-Z])|segment|clipseg|yolo|detect|ultralytics|inpaint.?anything|rembg|raffle|background|shader|glsl|script|python|draw|overlay|watermark|font|tts|voice|speech|audio|music',
    re.IGNORECASE,
)
# Loaders of models: encoders name the input for them after the model (Sana: GEMMA, PixArt: T5)
MODEL_LOADER = re.compile(r'(?:clip|encoder|gemma|t5\w*|llama|glm\d?|bert|unet|model)\w{0,9}.?loader', re.IGNORECASE)
# Nodes that add words of their own to a person's; only the person's count: a style's template, the trigger words of a LoRA
ADDS = re.compile(r'style|lora|trigger', re.IGNORECASE)
SAVERS = re.compile(r'save|metadata', re.IGNORECASE)
# Nodes that answer in words: language models, and describers of pictures
LANGUAGE_MODEL = re.compile(
    r'TextGenerate|ollama|llm|vlm|gpt(?!.?image)|chat(?!glm\d)|claude|(?:gemini|openrouter|grok|deepseek|mistral|groq|bytedanceseed)(?:api)?(?:node)?(?:v\d)?$'
    r'|llava|florence|joy.?caption|caption|blip|interrogat|tagger|wd14|moondream|minicpm|qwen\w*vl|vqa|img2txt|image.?(?:to|2).?(?:text|prompt)'
    r'|describe|(?:prompt|text).?(?:enhanc|expan|upsampl|rewrit|refin|generat)|magic.?prompt|superprompt|one.?button|ask.?(?:ai|llm)',
    re.IGNORECASE,
)
# Instructions to a language model, which describe no picture. MAYBE_INSTRUCTION has words that a prompt can have, too.
INSTRUCTION = re.compile(
    r'\b(?:you are (?:an?|the|my|now)\b|you (?:rewrite|will|must)\b|your (?:task|role|job|goal)\b|act as\b|i want you to\b|output only\b'
    r'|(?:write|create|generate|give me|make) (?:me )?(?:an? |the )?(?:\w+ ){0,3}(?:prompts?|captions?|descriptions?)\b'
    r'|(?:user|input|original|image|following|this) prompts?\b)|SYSTEM_PROMPT|\u63d0\u793a\u8bcd|\u4f60\u662f',
    re.IGNORECASE,
)
# Questions to a node that describes pictures
ASKS_ABOUT = re.compile(
    r'\b(?:describe|caption|analy[sz]e) (?:this|the|an?) (?:\w+ ){0,2}(?:image|picture|photo\w*)\b', re.IGNORECASE
)
MAYBE_INSTRUCTION = re.compile(
    r'\b(?:assistant|prompts?|describe|caption|rewrite|rephrase|translate|summari[sz]e|analy[sz]e|respond|instructions?|the user|step by step|what is|(?:this|the) image)\b'
    r'|\u63cf\u8ff0',
    re.IGNORECASE,
)
# Nodes that show a text and keep what they last showed: pysssss, rgthree, easy-use, ComfyUI's PreviewAny
SHOWS = re.compile(
    r'(?:show|display|preview).{0,6}(?:text|any|string)|^(?:text|any).{0,4}(?:show|display|preview)', re.IGNORECASE
)
SHOWN = re.compile(r'text_?\d*|string_?\d*|output|preview\w*|value|displayed_\w+|result', re.IGNORECASE)

# Inputs that set which side of a switch is on: ComfyUI, Crystools, Comfyroll, Impact Pack, easy-use, WAS, KJ, LayerStyle
SELECTORS = (
    'switch', 'boolean', 'bool', 'boolean_number', 'condition', 'cond', 'select', 'index', 'input', 'selection',
    'selection_in', 'selected', 'choose', 'which', 'switch_condition', 'value', 'enabled', 'on', 'mode',
)  # fmt: skip
ON = re.compile(r'(?:\w+_)?(?:on|if)?_?(?:true|tt|then)(?:_\w+)?', re.IGNORECASE)
OFF = re.compile(r'(?:\w+_)?(?:on|if)?_?(?:false|ff|else)(?:_\w+)?', re.IGNORECASE)
SWITCH = re.compile(r'switch|select|branch|if.?else|conditional|choose|picker|mux|toggle|fallback|first', re.IGNORECASE)
NUMBERED = re.compile(r'([a-z][a-z_ ]*?)_?(\d+)', re.IGNORECASE)
# Nodes that invert a truth value: ComfyUI, Crystools, Impact Pack
NOT = re.compile(r'(?<![A-Z])(?:Not|NOT|Neg)(?![a-z])|[Ii]nvert')
# Nodes that compute a truth value or a number
WORKED_OUT = re.compile(
    r'compar|math|expression|random|operator|equal|greater|less|logic.?(?:and|or|xor)', re.IGNORECASE
)
# rgthree's switches pass on the first input that exists
FIRST = re.compile(r'(?:any|ctx)_\d+')

# Classes whose first two outputs are positive and negative: the output tells the side, even if a link crosses to the other
# (ComfyUI's documentation of nodes)
TWO_SIDED = frozenset(
    """
    ControlNetApplyAdvanced ControlNetApplySD3 ControlNetInpaintingAliMamaApply InpaintModelConditioning ACN_AdvancedControlNetApply
    InstructPixToPixConditioning PairConditioningCombine PairConditioningSetDefaultCombine PairConditioningSetProperties
    PairConditioningSetPropertiesAndCombine SD_4XUpscale_Conditioning SVD_img2vid_Conditioning StableZero123_Conditioning
    StableZero123_Conditioning_Batched SV3D_Conditioning LTXVConditioning LTXVAddGuide LTXVCropGuides LTXVImgToVideo
    WanImageToVideo WanVaceToVideo WanFirstLastFrameToVideo WanFunControlToVideo WanFunInpaintToVideo ReferenceMultiLatent
    TextEncodeQwenImage21 TextEncodeFibo2 TextEncodeBooguEdit TextEncodeMageFlowEdit HunyuanRefinerLatent
    """.split()  # noqa: SIM905
)

# The widgets of classes, in the order in which the front end writes their values. A value that the front end adds after a seed
# (fixed, randomize ...) is left out before they are counted.
WIDGETS = {
    kind: tuple(names.split())
    for kind, names in {
        'CLIPTextEncode': 'text',
        'CLIPTextEncodeSDXL': 'width height crop_w crop_h target_width target_height text_g text_l',
        'CLIPTextEncodeSDXLRefiner': 'ascore width height text',
        'CLIPTextEncodeFlux': 'clip_l t5xxl guidance',
        'CLIPTextEncodeSD3': 'clip_l clip_g t5xxl empty_padding',
        'CLIPTextEncodeHiDream': 'clip_l clip_g t5xxl llama',
        'CLIPTextEncodeHunyuanDiT': 'bert mt5xl',
        'CLIPTextEncodeKandinsky5': 'clip_l qwen25_7b',
        'CLIPTextEncodeLumina2': 'system_prompt user_prompt',
        'CLIPTextEncodePixArtAlpha': 'width height text',
        'CLIPTextEncodeControlnet': 'text',
        'TextEncodeQwenImageEdit': 'prompt',
        'TextEncodeQwenImageEditPlus': 'prompt',
        'TextEncodeQwenImage21': 'prompt negative_prompt resolution',
        'TextEncodeMageFlowEdit': 'prompt negative_prompt width height batch_size',
        'TextEncodeFibo2': 'prompt negative_prompt width height batch_size',
        'TextEncodeBooguEdit': 'prompt negative_prompt',
        'TextEncodeZImageOmni': 'prompt auto_resize_images',
        'PhotoMakerEncode': 'text',
        'GLIGENTextBoxApply': 'text width height x y',
        'PrimitiveNode': 'value',
        'PrimitiveString': 'value',
        'PrimitiveStringMultiline': 'value',
        'PrimitiveBoolean': 'value',
        'PrimitiveInt': 'value',
        'PrimitiveFloat': 'value',
        'CustomCombo': 'choice',
        'ComfySwitchNode': 'switch',
        'StringConcatenate': 'string_a string_b delimiter',
        'StringReplace': 'string find replace',
        'StringTrim': 'string mode',
        'StringSubstring': 'string start end',
        'CaseConverter': 'string mode',
        'RegexExtract': 'string regex_pattern mode case_insensitive multiline dotall group_index',
        'RegexReplace': 'string regex_pattern replace case_insensitive multiline dotall count',
        'JsonExtractString': 'json_string key',
        'StringFormat': 'f_string',
        'TextGenerate': 'prompt max_length sampling_mode',
        'TextGenerateLTX2Prompt': 'prompt max_length sampling_mode',
        'ImpactSwitch': 'select sel_mode',
        'ImpactWildcardProcessor': 'wildcard_text populated_text mode seed Select',
        'ImpactWildcardEncode': 'wildcard_text populated_text mode Select_LoRA Select_Wildcard seed',
        'Efficient Loader': 'ckpt_name vae_name clip_skip lora_name lora_model_strength lora_clip_strength positive negative '
        'token_normalization weight_interpretation empty_latent_width empty_latent_height batch_size',
        'Eff. Loader SDXL': 'base_ckpt_name base_clip_skip refiner_ckpt_name refiner_clip_skip positive_ascore negative_ascore '
        'vae_name positive negative token_normalization weight_interpretation empty_latent_width empty_latent_height batch_size',
        'ShowText|pysssss': 'text_0',
        'SDXLPromptStyler': 'text_positive text_negative style log_prompt',
        'SDXLPromptStylerAdvanced': 'text_positive_g text_positive_l text_negative style negative_prompt_to log_prompt',
        'WanVideoTextEncode': 'positive_prompt negative_prompt force_offload',
        'Text Concatenate': 'delimiter clean_whitespace',
        'Text Multiline': 'text',
        'Text Find and Replace': 'text find replace',
        'Text Random Line': 'text seed',
        'Load Styles CSV': 'styles',
        'Prompt Styles Selector': 'style',
        'Prompt Multiple Styles Selector': 'style1 style2 style3 style4',
        'CR Text Concatenate': 'separator',
        'CR Text Replace': 'text find1 replace1 find2 replace2 find3 replace3',
        'CR Combine Prompt': 'part1 part2 part3 part4 separator',
        'CR Prompt List': 'prepend_text multiline_text append_text start_index max_rows',
        'CR Simple Prompt List': 'prompt_1 prompt_2 prompt_3 prompt_4 prompt_5',
        'easy prompt': 'text prefix subject action clothes environment background',
        'easy promptConcat': 'separator',
        'easy promptLine': 'prompt start_index max_rows',
        'easy promptList': 'prompt_1 prompt_2 prompt_3 prompt_4 prompt_5',
        'easy promptReplace': 'prompt find1 replace1 find2 replace2 find3 replace3',
        'easy convertAnything': 'output_type',
        'ConcatStringSingle': 'string_a string_b',
        'JoinStrings': 'delimiter',
        'StringConstantMultiline': 'string strip_newlines',
        'StringFunction|pysssss': 'action tidy_tags text_a text_b text_c',
        'PromptComposerTextSingle': 'text active weight',
        'ImpactStringSelector': 'strings multiline select',
        'BatchPromptSchedule': 'text max_frames print_output pre_text app_text',
        'SeargeSDXLPromptEncoder': 'pos_g pos_l pos_r neg_g neg_l neg_r base_width base_height',
        'BNK_CLIPTextEncodeAdvanced': 'text token_normalization weight_interpretation',
        'smZ CLIPTextEncode': 'text parser mean_normalization multi_conditioning use_old_emphasis_implementation with_SDXL '
        'ascore width height crop_w crop_h target_width target_height text_g text_l smZ_steps',
        'CR Text Input Switch': 'Input',
        'CR Conditioning Input Switch': 'Input',
        'String Literal': 'string',
        'Switch any [Crystools]': 'boolean',
        'DPRandomGenerator': 'text seed autorefresh',
        'Power Prompt (rgthree)': 'prompt',
        'SDXL Power Prompt - Positive (rgthree)': 'prompt_g prompt_l',
        'Power Prompt - Simple (rgthree)': 'prompt',
        'KlingImageGenerationNode': 'prompt negative_prompt',
        'BriaImageEditNode': 'model prompt negative_prompt',
    }.items()
}
