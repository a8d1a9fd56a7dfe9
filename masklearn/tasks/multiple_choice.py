r"""Multiple-choice questions about a passage, and ROPES, whose choices are in the text.

Source: "question \n (A) one (B) other \n passage", UnifiedQA's format, in the case of
the source; its separator is a backslash and an n, as T5 has no token for a line break.
ROPES has no list of choices: "question \n background situation". Target: the text of
the right choice, never its letter.

References:
  Khashabi et al., UnifiedQA: Crossing Format Boundaries with a Single QA System,
  Findings of EMNLP 2020; https://github.com/allenai/unifiedqa (Feeding data).
"""

import hashlib
import itertools
from typing import Any, Unpack

from masklearn.io.records import text_field
from masklearn.tasks import benchmark, fields
from masklearn.text.segmentation import occurrences
from masklearn.types import Example, Task

SEPARATOR = r' \n '

_LINES = {'train': 'train.jsonl', 'validation': 'dev.jsonl', 'test': 'test.jsonl'}

WIQA = benchmark.Official(
  hub_id='allenai/wiqa',
  config='default',
  revision='refs/convert/parquet',
  files=(_LINES,),
  pattern='default/{split}/*.parquet',
  metric='accuracy',
)
QUARTZ = benchmark.Official(
  hub_id='allenai/quartz',
  config='default',
  revision='28c1dbb56caf81799296cb17892fa73402e23464',
  files=(_LINES,),
  pattern='data/{split}-*.parquet',
  metric='accuracy',
)
ROPES = benchmark.Official(
  hub_id='allenai/ropes',
  config='plain_text',
  revision='59ddd633cf1b31b31cd101afdced00690eb52cbf',
  splits={'train': 'train', 'test': 'validation'},
  files=(benchmark.files('{}-v1.0.json', train='train', test='dev'),),
  pattern='plain_text/{split}/*.parquet',
)


def wiqa(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """WIQA: how does a change affect a process that is described in steps?

  Source: question, the choices more, less and no effect, and the steps. Label: whether
  the change is in the text, outside of it, or a distractor. Metric: accuracy. The
  splits are the official ones. There is no context: an answer is the direction of an
  effect, and where the same word stands in the steps it means something else.

  References:
    Tandon et al., WIQA: A dataset for "What if..." reasoning over procedural text,
    EMNLP 2019; https://github.com/allenai/wiqa-dataset.
  """
  return benchmark.task('wiqa', seed, WIQA, parse_wiqa, **where)


def quartz(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """QuaRTz: questions about qualitative relations, each with a sentence about one.

  Source: question, two choices, and the sentence. Metric: accuracy. The splits are the
  official ones. The context is the sentence where the right choice stands in it.

  References:
    Tafjord et al., QuaRTz: An Open-Domain Dataset of Qualitative Relationship
    Questions, EMNLP 2019.
  """
  return benchmark.task('quartz', seed, QUARTZ, parse_quartz, **where)


def ropes(seed: int, **where: Unpack[benchmark.Where]) -> Task:
  """ROPES: what follows from a background text in a situation?

  Source: question, background and situation. Targets: the answers. Metric: exact match.
  The answers of the official test are not public: the development questions are the
  test, and validation is cut off training by background, of which the group is a
  digest. The context is the situation, where an answer stands in it.

  References:
    Lin et al., Reasoning Over Paragraph Effects in Situations, MRQA 2019;
    https://allenai.org/data/ropes.
  """
  return benchmark.task('ropes', seed, ROPES, parse_ropes, **where)


def source(question: str, choices: dict[str, str], passage: str) -> str:
  r"""The parts in UnifiedQA's format; `choices` are texts by letter.

  >>> print(source('Is it?', {'A': 'Yes', 'B': 'No'}, 'It is.'))
  Is it? \n (A) Yes (B) No \n It is.
  """
  listed = ' '.join(f'({label}) {text}' for label, text in choices.items())
  return SEPARATOR.join(filter(None, (question, listed, passage)))


def _wiqa(record: dict[str, Any], default_id: str) -> Example:
  question, meta = record['question'], record['metadata']
  if not isinstance(question, dict) or not isinstance(meta, dict):
    raise ValueError("'question' and 'metadata' must be objects.")
  names = 'stem', 'para_steps', 'ques_id', 'para_id', 'question_type'
  return _of_steps(question, meta, names, default_id)


def _hub_wiqa(record: dict[str, Any], default_id: str) -> Example:
  about = (f'metadata_{name}' for name in ('question_id', 'para_id', 'question_type'))
  names = 'question_stem', 'question_para_step', *about
  return _of_steps(record, record, names, default_id)


def _of_steps(question, meta, names, default_id) -> Example:
  """The example of the fields of these names: three of them describe the question."""
  stem, steps, ident, group, label = names
  choices, found = _choices(question), fields.strings(question, steps)
  # Most steps lack a full stop, and a model is to see where one ends.
  ended = (s if s.rstrip().endswith(('.', '!', '?')) else f'{s}.' for s in found)
  return Example(
    id=text_field({'id': meta.get(ident)}, 'id', default_id),
    source=source(text_field(question, stem), choices, ' '.join(ended)),
    targets=(_right(choices, text_field(question, 'answer_label_as_choice')),),
    group=text_field({'id': meta.get(group)}, 'id', ''),
    label=text_field(meta, label, ''),
  )


def _quartz(record: dict[str, Any], default_id: str) -> Example:
  # Published with the choices inside the question, on the hub beside it.
  nested = isinstance(record['question'], dict)
  inside = record['question'] if nested else record
  question = text_field(inside, 'stem' if nested else 'question')
  passage, choices = text_field(record, 'para'), _choices(inside)
  target = _right(choices, text_field(record, 'answerKey'))
  places = occurrences(passage, (target,))[target]
  return Example(
    id=text_field(record, 'id', default_id),
    source=source(question, choices, passage),
    targets=(target,),
    group=text_field({'id': record.get('para_id')}, 'id', ''),
    context=passage if places else '',
    answer_spans=places,
  )


def _ropes(record: dict[str, Any], default_id: str) -> Example:
  question = text_field(record, 'question')
  background = text_field(record, 'background').strip()
  situation = text_field(record, 'situation', '').strip()
  found = fields.objects(record, 'answers') if record.get('answers') else []
  answered = fields.answer_rows(found, 'answers')
  targets = tuple(dict.fromkeys(answer for _, answer in answered))
  found = occurrences(situation, targets).values()
  places = sorted(set(itertools.chain(*found)))
  return Example(
    id=text_field(record, 'id', default_id),
    source=source(question, {}, f'{background} {situation}'.strip()),
    targets=targets,
    group=hashlib.blake2s(background.encode(), digest_size=8).hexdigest(),
    context=situation if places else '',
    answer_spans=tuple(places),
  )


def _choices(record: dict[str, Any]) -> dict[str, str]:
  rows = fields.objects(record, 'choices')
  found = fields.answer_rows(rows, 'choices')  # A blank one cannot be chosen.
  return {text_field(row, 'label'): text for row, text in found}


def _right(choices: dict[str, str], label: str) -> str:
  if label not in choices:
    raise ValueError(f'the answer must be one of {list(choices)}, got {label!r:.40}.')
  return choices[label]


parse_wiqa = fields.by_kind(
  {'a WIQA record': _wiqa, 'a WIQA record of the hub': _hub_wiqa}
)
parse_quartz = fields.by_kind({'a QuaRTz record': _quartz})
parse_ropes = fields.by_kind({'a ROPES record': _ropes})
