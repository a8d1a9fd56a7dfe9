"""Texts as answers are compared: in lower case, without punctuation and articles."""

import re
import string

_ARTICLES = re.compile(r'\b(a|an|the)\b')
_PUNCTUATION = str.maketrans('', '', string.punctuation)
_TRIVIA_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + '‘’´`', ' '))


def normalize(text: str) -> str:
  """The text in lower case, without punctuation, articles and extra spaces.

  Punctuation is ASCII's, as in the source: typographic quotes stay.

  References:
    The evaluation script of SQuAD v1.1, https://rajpurkar.github.io/SQuAD-explorer/;
    KILT and the overlap splits of Lewis et al. use the same.

  >>> normalize('The U.S. Dollar')
  'us dollar'
  """
  return _without_articles(text.lower().translate(_PUNCTUATION))


def normalize_trivia(text: str) -> str:
  """The text normalized as TriviaQA does it: punctuation separates words.

  It becomes a space, and typographic single quotes and accents are punctuation.
  TriviaQA's `NormalizedAliases` have this form already, and do not change.

  References:
    https://github.com/mandarjoshi90/triviaqa/blob/master/evaluation/triviaqa_evaluation.py

  >>> normalize_trivia('U.S. rock’n’roll')
  'u s rock n roll'
  """
  return _without_articles(text.lower().translate(_TRIVIA_PUNCTUATION))


def _without_articles(text: str) -> str:
  return ' '.join(_ARTICLES.sub(' ', text).split())
