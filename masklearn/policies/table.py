"""The one list of policies, by name.

`random_span` and `same_sentences_random` take a `reference`, the policy that they
are compared with; `learned` and `supervised` take the size of their vocabulary, and
`original` the special tokens, which say whose objective is meant. It alone has a rate
of its own; `random_token` has a budget of tokens, all others one of words.
"""

from masklearn.policies.heuristic import (
  oracle,
  pmi_span,
  random_span,
  salient,
  same_sentences_random,
  whole_word,
)
from masklearn.policies.learned import learned
from masklearn.policies.pretraining import original, random_token
from masklearn.policies.supervised import supervised

POLICIES = {
  'random': whole_word,  # the name in results
  'whole_word': whole_word,
  'random_token': random_token,
  'random_span': random_span,
  'salient': salient,
  'pmi_span': pmi_span,
  'same_sentences_random': same_sentences_random,
  'supervised': supervised,
  'learned': learned,
  'oracle': oracle,
  'original': original,
}
