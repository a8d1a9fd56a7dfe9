"""Overlap: test questions of open-domain QA that training may have shown."""

import functools
from collections.abc import Iterable, Sequence

from masklearn.evaluation import metrics
from masklearn.types import Example

QUESTION = 'question_overlap'
ANSWER = 'answer_overlap_only'
NONE = 'no_overlap'
SPLITS = (QUESTION, ANSWER, NONE)

# Words that differ between ways to ask the same; the rest is what is asked.
_QUESTION_WORDS = 'what which who whom whose when where why how'
_FUNCTION_WORDS = (
  'there it its this that these those is are was were be been being am do does did '
  'done has have had having will would can could shall should may might must '
  'of in on at to for from by with as into about and or s'
)
_IGNORED = frozenset(f'{_QUESTION_WORDS} {_FUNCTION_WORDS}'.split())


def split(test: Sequence[Example], train: Iterable[Example]) -> list[str]:
  """The one of `SPLITS` that each test question belongs to.

  >>> known = Example('1', 'Where is Oslo?', ('Norway',))
  >>> asked = [known, Example('2', 'What has fjords?', ('Norway',))]
  >>> split(asked, [known])
  ['question_overlap', 'answer_overlap_only']

  `question_overlap`: a training question is the same after SQuAD's normalization,
  whatever its answers; or it has the same set of content words and an answer in
  common. Content words are Porter stems of all but question and function words.
  `answer_overlap_only`: of the others, those with a gold answer that is, normalized,
  an answer of some training question. `no_overlap`: the rest.

  The answer splits are those of Lewis et al. Their question overlap was annotated by
  hand, among candidates with a common answer; ours is a rule. It finds paraphrases
  that change word order, inflection or function words, and misses those that use
  other words, so its `question_overlap` is smaller than theirs. The common answer
  keeps apart what a set of words does not ("when" and "where did he die").

  Args:
    test: the questions to sort.
    train: the questions of the training split; read once.

  References:
    Lewis, Stenetorp and Riedel, Question and Answer Test-Train Overlap in Open-Domain
    Question Answering Datasets, 2021, https://aclanthology.org/2021.eacl-main.86
  """
  questions: set[str] = set()
  answers: set[str] = set()
  asked: dict[frozenset[str], set[str]] = {}  # content words -> answers
  for example in train:
    question, own = metrics.normalize(example.source), _answers(example)
    questions.add(question)
    answers |= own
    asked.setdefault(_content(question), set()).update(own)
  found = []
  for example in test:
    question, own = metrics.normalize(example.source), _answers(example)
    content = _content(question)
    if question in questions or (content and own & asked.get(content, set())):
      found.append(QUESTION)
    else:
      found.append(ANSWER if own & answers else NONE)
  return found


def _answers(example: Example) -> set[str]:
  return {metrics.normalize(target) for target in example.targets} - {''}


def _content(question: str) -> frozenset[str]:
  """The content words of a normalized question."""
  return frozenset(map(_stem, question.split())) - {''}


@functools.lru_cache(maxsize=2**17)
def _stem(word: str) -> str:
  return '' if word in _IGNORED else _stemmer().stem(word)


@functools.cache
def _stemmer():
  from nltk.stem import porter  # its import takes a while

  return porter.PorterStemmer()
