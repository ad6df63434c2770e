"""Small images with metadata written as each software writes them; the functions say after which source."""

import json
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

EXIF_IFD, USER_COMMENT, MAKE, MODEL, SOFTWARE, MAKER_NOTE = 0x8769, 0x9286, 0x010F, 0x0110, 0x0131, 0x927C
INFOTEXT = (
    'a (red:1.2) cat, <lora:film:0.8> snow\nNegative prompt: dog, blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, '
    'Seed: 1, Size: 512x512, Model hash: 6ce0161689, Model: v1-5, Version: v1.9.4'
)
XMP = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 6.0.0"><rdf:RDF '
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" '
    'xmlns:exif="http://ns.adobe.com/exif/1.0/">{}</rdf:Description></rdf:RDF></x:xmpmeta>'
)
LISTED = '<{0}><rdf:Alt><rdf:li xml:lang="x-default">{1}</rdf:li></rdf:Alt></{0}>'


def png(path: Path, **texts: str) -> Path:
    """Text chunks as ``PngInfo.add_text`` writes them (tEXt, or iTXt beyond Latin-1): what all software in Python calls."""
    info = PngInfo()
    for name, text in texts.items():
        info.add_text(name.replace('__', '-'), text)
    Image.new('RGB', (32, 32)).save(path, pnginfo=info)
    return path


def with_xmp(path: Path, *parts: str) -> Path:
    """An iTXt chunk named XML:com.adobe.xmp, where the XMP specification, part 3, puts it in a PNG."""
    info = PngInfo()
    info.add_itxt('XML:com.adobe.xmp', XMP.format(''.join(parts)))
    Image.new('RGB', (32, 32)).save(path, pnginfo=info)
    return path


def with_comment(path: Path, comment: bytes | str, in_exif_ifd: bool = True) -> Path:
    """EXIF UserComment. Where it belongs is the Exif IFD (EXIF 2.32, 4.6.5); Fooocus leaves it in the first one."""
    exif = Image.Exif()
    (exif.get_ifd(EXIF_IFD) if in_exif_ifd else exif)[USER_COMMENT] = comment
    Image.new('RGB', (32, 32)).save(path, exif=exif)
    return path


def automatic1111_comment(text: str = INFOTEXT) -> bytes:
    """stable-diffusion-webui writes JPEG and WebP by piexif.helper.UserComment.dump(text, 'unicode'): high byte first."""
    return b'UNICODE\0' + text.encode('utf-16-be')


def node(kind: str, **inputs) -> dict:
    """One node of ComfyUI's API format (its docs: 'Workflow JSON', script_examples/basic_api_example.py)."""
    return {'class_type': kind, 'inputs': inputs}


def ksampler(positive: str, negative: str = '7', latent: str = '5', **inputs) -> dict:
    """The node that every default workflow has."""
    links = {'model': ['4', 0], 'positive': [positive, 0], 'negative': [negative, 0], 'latent_image': [latent, 0]}
    settings = {'seed': 1, 'steps': 20, 'cfg': 8.0, 'sampler_name': 'euler', 'scheduler': 'normal', 'denoise': 1}
    return node('KSampler', **settings, **links, **inputs)


DEFAULT_GRAPH = {
    '3': ksampler('6'),
    '4': node('CheckpointLoaderSimple', ckpt_name='v1-5.safetensors'),
    '5': node('EmptyLatentImage', width=512, height=512, batch_size=1),
    '6': node('CLIPTextEncode', text='a cat in the snow', clip=['4', 1]),
    '7': node('CLIPTextEncode', text='dog, blurry', clip=['4', 1]),
    '8': node('VAEDecode', samples=['3', 0], vae=['4', 2]),
    '9': node('SaveImage', filename_prefix='ComfyUI', images=['8', 0]),
}
# Fooocus, modules/meta_parser.py: FooocusMetadataParser.parse_string
FOOOCUS = json.dumps(
    {
        'adm_guidance': '(1.5, 0.8, 0.3)', 'base_model': 'juggernautXL_v8Rundiffusion', 'base_model_hash': 'aeb7e9e689',
        'full_negative_prompt': ['dog', 'anime'], 'full_prompt': ['a cat', 'cinematic still a cat . emotional'],
        'guidance_scale': 4, 'metadata_scheme': 'fooocus', 'negative_prompt': 'dog', 'prompt': 'a cat',
        'sampler': 'dpmpp_2m_sde_gpu', 'scheduler': 'karras', 'seed': '1', 'sharpness': 2, 'steps': 30,
        'version': 'Fooocus v2.5.5',
    }
)  # fmt: skip
# SwarmUI, docs/Image Metadata Format.md
SWARMUI = json.dumps(
    {
        'sui_image_params': {
            'prompt': 'a cat <segment:face,0.6,0.5> whiskers', 'negativeprompt': 'dog', 'model': 'Flux/flux1-dev-fp8',
            'seed': 1, 'steps': 25, 'cfgscale': 1.0, 'aspectratio': '1:1', 'swarm_version': '0.9.1.1',
        }
    },
    indent=2,
)  # fmt: skip
# InvokeAI 3 and later, invokeai/app/invocations/metadata.py: CoreMetadataInvocation; FLUX has neither scheduler nor negative
INVOKEAI = {'generation_mode': 'sdxl_txt2img', 'positive_prompt': 'a (fluffy)1.3 cat++', 'negative_prompt': 'dog', 'steps': 30, 'seed': 1, 'scheduler': 'euler', 'cfg_scale': 7.5, 'model': {'key': 'k', 'hash': 'h', 'name': 'SDXL', 'base': 'sdxl', 'type': 'main'}}  # fmt: skip
INVOKEAI_FLUX = {
    'generation_mode': 'flux_txt2img',
    'positive_prompt': 'a cat',
    'num_steps': 4,
    'guidance': 4,
    'seed': 1,
}
# InvokeAI 2.x, docs/features/OTHER.md; 1.x wrote the command line
SD_METADATA = {'model': 'stable diffusion', 'model_weights': 'sd-1.5', 'app_id': 'invoke-ai/InvokeAI', 'image': {'prompt': [{'prompt': 'a cat [dog]', 'weight': 1.0}], 'steps': 50, 'cfg_scale': 7.5, 'sampler': 'k_lms', 'seed': 1, 'type': 'txt2img'}}  # fmt: skip
DREAM = '"a cat [dog]" -s 50 -S 1 -W 512 -H 512 -C 7.5 -A k_lms'
# NovelAI's text chunks, as its own metadata scripts (NovelAI/novelai-image-metadata) read them
NOVELAI = {'Title': 'AI generated image', 'Software': 'NovelAI', 'Source': 'Stable Diffusion 81274D13'}
NOVELAI_COMMENT = {'steps': 28, 'sampler': 'k_euler_ancestral', 'seed': 1, 'strength': 0.7, 'noise': 0.2, 'scale': 11.0, 'uc': 'dog'}  # fmt: skip
