"""What to hide: `POLICIES` is the one list of policies, by name.

`random_span` and `same_sentences_random` take a `reference`, the policy that they
are compared with; `learned` and `supervised` take the size of their vocabulary, and
`original` the special tokens, which say whose objective is meant. It alone has a rate
of its own.
"""

from masklearn.policies.encoders import ENCODERS as ENCODERS
from masklearn.policies.fixed import (
  oracle,
  random,
  random_span,
  salient,
  same_sentences_random,
)
from masklearn.policies.learned import learned
from masklearn.policies.learned import with_encoder as with_encoder
from masklearn.policies.learned import with_words as with_words
from masklearn.policies.originals import original
from masklearn.policies.supervised import supervised

POLICIES = {
  'random': random,
  'random_span': random_span,
  'salient': salient,
  'same_sentences_random': same_sentences_random,
  'supervised': supervised,
  'learned': learned,
  'oracle': oracle,
  'original': original,
}
