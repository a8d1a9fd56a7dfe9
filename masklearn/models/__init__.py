"""Encoder-decoder models: the families by name, their shapes and parameters."""

from masklearn.io import lazy
from masklearn.models.sizes import MODELS as MODELS
from masklearn.models.sizes import model_config as model_config

_OWNERS = dict.fromkeys(('init_params', 'make_model', 'param_shapes'), 'families')
__all__ = ['MODELS', 'model_config', *_OWNERS]
__getattr__ = lazy.attach(__name__, _OWNERS)
