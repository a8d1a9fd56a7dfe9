"""Closed-book question answering: the question is all that the model is given.

Validation questions are cut off training by question, as none are published; the
official development questions are the test, as papers on open-domain answering have it.
"""

import collections
import dataclasses
import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Any, Unpack

from masklearn.io.records import text_field
from masklearn.tasks import benchmark, fields
from masklearn.text.normalization import normalize
from masklearn.types import Example, Task

NQ_OPEN = benchmark.Official(
  hub_id='google-research-datasets/nq_open',
  config='nq_open',
  revision='5dd9790a83002ad084ddeb7c420dc716852c6f28',
  splits={'train': 'train', 'test': 'validation'},
  files=(benchmark.files('NQ-open.{}.jsonl', train='train', test='dev'),),
)
WEB_QUESTIONS = benchmark.Official(
  hub_id='stanfordnlp/web_questions',
  config='default',
  revision='main',
  splits={'train': 'train', 'test': 'test'},
  files=(
    benchmark.files('webquestions.examples.{}.json', train='train', test='test'),
    {'train': 'trainmodel.json', 'validation': 'val.json', 'test': 'test.json'},
  ),
)
TRIVIA_QA = benchmark.Official(
  hub_id='mandarjoshi/trivia_qa',
  config='unfiltered.nocontext',
  revision='f59b4da4d92cf18e0c8a9211c9d7376eaadccb1f',
  splits={'train': 'train', 'test': 'validation'},
  files=(
    benchmark.files('unfiltered-web-{}.json', train='train', test='dev'),
    benchmark.files('wikipedia-{}.json', train='train', test='dev'),
    benchmark.files('web-{}.json', train='train', test='dev'),
  ),
  pattern='unfiltered.nocontext/{split}-*.parquet',
  metric='trivia_em',
)

# `(description "Lightning rod")` or `(description Bifocals)`
_DESCRIPTION = re.compile(
  r'\s*\(description\s+(?:"((?:[^"\\]|\\.)*)"|([^\s()"]+))\s*\)', re.DOTALL
)


def nq_open(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """NQ-open: questions that people asked a search engine, with short answers.

  Source: the question, in lower case as it is. Targets: all answers, with the spacing
  of their source ('July 5 , 2018'). Metric: exact match. DPR's form of it is the same.

  References:
    Lee et al., Latent Retrieval for Weakly Supervised Open Domain Question Answering,
    ACL 2019; https://github.com/google-research-datasets/natural-questions (nq_open).
  """
  return benchmark.task('nq_open', seed, NQ_OPEN, parse_nq, **where)


def web_questions(
  seed: int, held_out: bool = True, **where: Unpack[benchmark.Where]
) -> Task:
  """WebQuestions: questions that Freebase can answer.

  Source: the question. Targets: all descriptions of `targetValue`. Metric: exact
  match. The records of YodaQA ({qId, qText, answers}), of the hub, and those joined
  with the World Factbook are read as well. The last have a `country`, which becomes the
  group: countries are split then, and a `split` in the record is ignored.

  Args:
    seed: of the split.
    held_out: False leaves out the questions with `country_held_out`: about countries
      of which the corpus has no profile.
    **where: see `benchmark.Where`.

  References:
    Berant et al., Semantic Parsing on Freebase from Question-Answer Pairs, EMNLP 2013;
    https://github.com/brmson/dataset-factoid-webquestions.
  """

  def parse(record, default_id):
    left_out = not held_out and record.get('country_held_out')
    return None if left_out else parse_web(record, default_id)

  return benchmark.task('web_questions', seed, WEB_QUESTIONS, parse, **where)


def trivia_qa(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """TriviaQA: questions by quiz enthusiasts, without the evidence documents.

  Source: the question. Targets: the original answer, to train on, then its aliases.
  Group: the title of the first Wikipedia page that a record names as evidence
  (`EntityPages`), where it names one, so that questions meet passages of a corpus whose
  groups are titles. Metric: exact match, in TriviaQA's own normalization. Of its
  several sets, the unfiltered one is the default, as in open-domain question answering.
  DPR's form, {question, answer: [aliases]}, does not say which alias is the original:
  there the first target is the most typical one.

  References:
    Joshi et al., TriviaQA: A Large Scale Distantly Supervised Challenge Dataset for
    Reading Comprehension, ACL 2017; https://nlp.cs.washington.edu/triviaqa/.
    Karpukhin et al., Dense Passage Retrieval for Open-Domain QA, EMNLP 2020.
  """
  return benchmark.task('trivia_qa', seed, TRIVIA_QA, parse_trivia, **where)


def typical(aliases: Sequence[str]) -> str:
  """The alias whose words most aliases share, on average.

  Of several, the spelling that is part of most aliases; of these, the first.

  >>> typical(['Copter', 'Helicopter', 'Cargo helicopter'])
  'Helicopter'
  """
  words = {alias: tuple(normalize(alias).split()) for alias in aliases}
  # What differs in case or punctuation alone counts once.
  count = collections.Counter(word for own in set(words.values()) for word in set(own))

  def shared(alias):
    mean = sum(count[word] for word in words[alias]) / max(len(words[alias]), 1)
    return mean, sum(alias in other for other in words)

  return max(words, key=shared)


def _freebase(record: dict[str, Any], default_id: str) -> Example:
  value = text_field(record, 'targetValue').strip()
  inner = re.fullmatch(r'\(list(.*)\)', value, re.DOTALL)
  # Whatever is no description is left over.
  if not inner or _DESCRIPTION.sub('', inner[1]).strip():
    raise ValueError(
      f"'targetValue' must be (list (description ..) ..), got {value!r:.60}."
    )
  # A quoted one may have escapes, like a string of Lisp.
  found = [
    re.sub(r'\\(.)', r'\1', match[1]) if match[1] is not None else match[2]
    for match in _DESCRIPTION.finditer(inner[1])
  ]
  return Example(
    id=text_field(record, 'id', default_id),
    source=text_field(record, 'utterance'),
    targets=fields.answers({'targetValue': found}, 'targetValue'),
  )


def _trivia(record: dict[str, Any], default_id: str) -> Example:
  ident = text_field({'id': record.get('QuestionId')}, 'id', default_id)
  targets = ()
  if 'Answer' in record:
    targets = _original_first(record['Answer'], 'Value', 'Aliases', 'HumanAnswers')
  pages = fields.objects(record, 'EntityPages') if record.get('EntityPages') else []
  page = _first_title(row.get('Title') for row in pages)
  return Example(ident, text_field(record, 'Question'), targets, page)


def _hub_trivia(record: dict[str, Any], default_id: str) -> Example:
  answer = record['answer']
  # How the hub writes that the test has no answers.
  unknown = isinstance(answer, dict) and answer.get('value') == '<unk>'
  targets = () if unknown else _original_first(answer, 'value', 'aliases')
  ident = text_field({'id': record.get('question_id')}, 'id', default_id)
  pages = record.get('entity_pages')
  titles = pages.get('title') if isinstance(pages, dict) else None
  page = _first_title(titles if isinstance(titles, list) else ())
  return Example(ident, text_field(record, 'question'), targets, page)


def _first_title(titles: Iterable[Any]) -> str:
  return next((title for title in titles if isinstance(title, str) and title), '')


def _original_first(answer: Any, value: str, *aliases: str) -> tuple[str, ...]:
  if not isinstance(answer, dict):
    raise ValueError(f'an answer must be an object, got {answer!r:.40}.')
  original = fields.different([(value, answer.get(value))])
  if not original:
    raise ValueError(f'an answer has no {value!r}.')
  given = [fields.strings(answer, key) for key in aliases if answer.get(key)]
  return tuple(dict.fromkeys([*original, *itertools.chain(*given)]))


def _dpr_trivia(record: dict[str, Any], default_id: str) -> Example:
  example = parse_nq(record, default_id)
  if record.keys() >= {'ctxs', 'target'}:
    return example  # FiD's says which one is trained on
  first = typical(example.targets)
  targets = tuple(dict.fromkeys([first, *example.targets]))
  return dataclasses.replace(example, targets=targets)


_NQ = 'an NQ-open record'
parse_nq = fields.by_kind(fields.ANSWERED)
_read_yoda = fields.reader('qText', 'answers', id='qId', group='country')
parse_web = fields.by_kind(
  {
    'a WebQuestions record': _freebase,
    'a WebQuestions record of YodaQA': _read_yoda,
    'a WebQuestions record of the hub': fields.reader('question', 'answers'),
    **{kind: parse for kind, parse in fields.ANSWERED.items() if kind != _NQ},
  }
)
parse_trivia = fields.by_kind(
  {
    'a TriviaQA record': _trivia,
    'a TriviaQA record of the hub': _hub_trivia,
    **dict.fromkeys(fields.ANSWERED, _dpr_trivia),
  }
)
