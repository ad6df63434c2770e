"""Packaging. Beside the package the wheel carries ``options/``, ``datasets_meta/`` and a ``.pth`` file."""

from pathlib import Path

from setuptools import Distribution, find_packages, setup
from setuptools.command.build_py import build_py

# setuptools serves distutils itself, also where Python no longer has it
from distutils.command.install_data import install_data  # isort: skip

HERE = Path(__file__).parent
PTH_NAME = 'pyiqa_moeagiqa.pth'
# Python's site module runs this at start, and has the folder of the .pth file as ``sitedir``. The package of that folder is meant:
# none that the working directory or PYTHONPATH happens to have. It must never fail, not even when the package has gone.
PTH_CODE = """
try:
    folder = {folder}
    wanted = os.environ.get('MOEAGIQA_NO_HOOK') != '1'
    if wanted and os.path.isfile(os.path.join(folder, 'pyiqa_moeagiqa', '__init__.py')):
        whole, sys.path = sys.path, [folder]
        try:
            __import__('pyiqa_moeagiqa')
        finally:
            sys.path = whole
except Exception:
    pass
"""
SHARED_FOLDERS = ('options', 'datasets_meta')


class BuildWithSharedFolders(build_py):
    """Copies the option files and data-set descriptions into the package, where the installed command finds them."""

    def run(self) -> None:
        super().run()
        if getattr(self, 'editable_mode', False):
            return
        for folder in SHARED_FOLDERS:
            for source in (HERE / folder).rglob('*'):
                if source.is_file():
                    target = Path(self.build_lib, 'pyiqa_moeagiqa', folder, source.relative_to(HERE / folder))
                    self.mkpath(str(target.parent))
                    self.copy_file(str(source), str(target))


class InstallDataWithPth(install_data):
    """Writes the ``.pth`` file into the wheel's ``.data/purelib``, which lands in site-packages.

    This way serves ordinary and editable wheels alike; that of an editable one names the checkout.
    """

    def run(self) -> None:
        purelib = Path(self.install_dir).parent / 'purelib'
        purelib.mkdir(parents=True, exist_ok=True)
        editable = getattr(self.get_finalized_command('build_py'), 'editable_mode', False)
        code = PTH_CODE.format(folder=ascii(str(HERE.resolve())) if editable else "locals()['sitedir']")
        (purelib / PTH_NAME).write_text(f'import os, sys; exec({code!a})\n')  # one line, which begins with "import"
        self.outfiles.append(str(purelib / PTH_NAME))

    def get_inputs(self) -> list[str]:
        return []


class DistributionWithData(Distribution):
    """Editable wheels ask ``has_data`` before they run install_data; ordinary ones ask ``has_data_files``."""

    def has_data(self) -> bool:
        return True

    has_data_files = has_data


setup(
    name='pyiqa-moeagiqa',
    version='0.1.0',
    description='MoE-AGIQA for pyiqa: how good is an AI-generated image for its prompt?',
    long_description=(HERE / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    license_files=['LICENSE', 'NOTICE'],
    python_requires='>=3.10',
    packages=find_packages(include=['pyiqa_moeagiqa', 'pyiqa_moeagiqa.*']),
    package_data={'pyiqa_moeagiqa': ['py.typed', '**/*.html', '**/*.css', '**/*.txt', '**/*.safetensors', '**/*.yml']},
    install_requires=[
        'pyiqa>=0.1.16,<0.2',
        'torch>=2.7',
        'torchvision>=0.21',
        'timm>=1.0.20',
        'transformers>=5.0',
        'tokenizers>=0.20',
        'safetensors>=0.4',
        'huggingface_hub>=0.30',
        'pandas>=2.0',
        'pyarrow>=14',
        'scipy>=1.10',
        'pillow>=10',
        'pyyaml>=6',
        'pydantic>=2.7',
        'jinja2>=3.1',
        'matplotlib>=3.8',
        'tqdm>=4.60',
        'filelock>=3.21',  # the first that notices a lock file which was removed between its opening and its locking
        'typer>=0.12',
        'rich>=13',
    ],
    extras_require={
        # what AGIQA-1K's .mat and AIGCIQA2023's .xlsx are read with
        'data': ['h5py>=3.8', 'openpyxl>=3.1'],
        # what "moeagiqa export" writes with, and what runs it
        'onnx': ['onnx>=1.17', 'onnxscript>=0.5', 'onnxruntime>=1.20'],
        # what adds LoRA adapters in training; scoring does without
        'lora': ['peft>=0.18'],
        # HEIC pictures, as phones take them
        'heif': ['pillow-heif>=0.22'],
        # MoEAGIQAScore, for those who train with Lightning
        'torchmetrics': ['torchmetrics>=1.4'],
        # what the scripts of examples/ generate with (0.35 does not know transformers 5), and the adapters that they train
        'examples': ['diffusers>=0.42', 'peft>=0.18'],
        # what "moeagiqa score --ray" runs on; 2.64 drops two options of Ray Data that bound retries
        'ray': ['ray[data]>=2.60,<2.64'],
        # the page and the API of "moeagiqa serve"
        'serve': [
            'fastapi>=0.165',
            'gradio>=6.31',
            'prometheus-client>=0.26',
            'python-multipart>=0.0.34',
            'swagger-ui-bundle>=1.1',
            'uvicorn>=0.54',
        ],
    },
    entry_points={
        'console_scripts': ['moeagiqa = pyiqa_moeagiqa.cli:main'],
        'pyiqa.archs': ['moeagiqa = pyiqa_moeagiqa.plugin:register_archs'],
        'pyiqa.datasets': ['moeagiqa = pyiqa_moeagiqa.plugin:register_datasets'],
        'pyiqa.models': ['moeagiqa = pyiqa_moeagiqa.plugin:register_models'],
    },
    distclass=DistributionWithData,
    cmdclass={'build_py': BuildWithSharedFolders, 'install_data': InstallDataWithPth},
    classifiers=[
        'License :: OSI Approved :: Apache Software License',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Processing',
    ],
)
