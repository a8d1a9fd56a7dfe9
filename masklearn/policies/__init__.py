"""What to hide: policies by name, as pure functions, and on disk."""

from masklearn.io import lazy
from masklearn.policies.table import POLICIES as POLICIES
from masklearn.policies.table import RENAMED as RENAMED
from masklearn.policies.table import Entry as Entry

_OWNERS = {
  'ENCODERS': 'encoders',
  'complete_policy': 'checkpoint',
  'describe_policy': 'checkpoint',
  'load_policy': 'checkpoint',
  'make_policy': 'checkpoint',
  'save_policy': 'checkpoint',
  'with_encoder': 'learned',
  'with_words': 'learned',
}
__all__ = ['POLICIES', 'RENAMED', 'Entry', *_OWNERS]
__getattr__ = lazy.attach(__name__, _OWNERS)
