"""What to hide: policies by name, as pure functions, and on disk."""

from masklearn.policies.checkpoint import complete_policy as complete_policy
from masklearn.policies.checkpoint import describe_policy as describe_policy
from masklearn.policies.checkpoint import load_policy as load_policy
from masklearn.policies.checkpoint import make_policy as make_policy
from masklearn.policies.checkpoint import save_policy as save_policy
from masklearn.policies.encoders import ENCODERS as ENCODERS
from masklearn.policies.learned import with_encoder as with_encoder
from masklearn.policies.learned import with_words as with_words
from masklearn.policies.table import POLICIES as POLICIES
from masklearn.policies.table import Entry as Entry
