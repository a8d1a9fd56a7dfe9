"""What the hub has of published tasks: small snapshots of its Parquet files."""

import pyarrow
from pyarrow import parquet

from masklearn.tasks import (
  closed_book,
  kilt,
  multiple_choice,
  splits,
  squad,
  summarization,
  wikidyk,
)

OFFICIAL = {
  'nq_open': closed_book.NQ_OPEN,
  'web_questions': closed_book.WEB_QUESTIONS,
  'trivia_qa': closed_book.TRIVIA_QA,
  'aidayago2': kilt.AIDAYAGO2,
  'zsre': kilt.ZSRE,
  'wow': kilt.WOW,
  'wiqa': multiple_choice.WIQA,
  'quartz': multiple_choice.QUARTZ,
  'ropes': multiple_choice.ROPES,
  'cnn_dailymail': summarization.CNN_DAILYMAIL,
  'xsum': summarization.XSUM,
  'scitldr': summarization.SCITLDR,
  'squad': squad.SQUAD,
  'wikidyk': wikidyk.WIKIDYK,
}
METRICS = {
  **dict.fromkeys(('aidayago2', 'zsre', 'wiqa', 'quartz'), 'accuracy'),
  'wow': 'f1',
  'trivia_qa': 'trivia_em',
  'cnn_dailymail': 'summary_rougeLsum',
  'xsum': 'summary_rougeL',
  'scitldr': 'summary_rougeL',
  'wikidyk': 'match',
}


def _kilt(number, source, *answers):
  """A row of KILT's."""
  more = {'meta': {'score': 0}, 'provenance': [{'title': 'A L', 'wikipedia_id': '974'}]}
  meta = {'mention': '', 'template_questions': ['Who is Ada?', 'Is it Ada?']}
  output = [{'answer': answer, **more} for answer in answers]
  return {'id': number, 'input': source, 'meta': meta, 'output': output}


# What the hub's rows look like.
ANSWER = {'aliases': ['NYC', 'New York'], 'value': 'New York', 'type': 'FreeForm'}
ROWS = {
  'nq_open': {'question': 'who {i}?', 'answer': ['Ada', 'Al']},
  'web_questions': {'url': 'x', 'question': 'who {i}?', 'answers': ['Ada', 'Al']},
  'trivia_qa': {'question': 'Where {i}?', 'question_id': 'tc_{i}', 'answer': ANSWER},
  'aidayago2': _kilt('{i}:0', 'One [START_ENT] Ada [END_ENT] two', 'Ada Lovelace', ''),
  'zsre': _kilt('{i}', 'Ada [SEP] r{i}', 'x'),
  'wow': _kilt('c{i}_0', 'Hi!\nYes?', 'Oh.'),
  'wiqa': {
    'question_stem': 'suppose x?',
    'question_para_step': ['One', 'Two.', ''],
    'answer_label': 'no_effect',
    'answer_label_as_choice': 'C',
    'choices': {'text': ['more', 'less', 'no effect'], 'label': ['A', 'B', 'C']},
    'metadata_question_id': 'q{i}',
    'metadata_para_id': '7',
    'metadata_question_type': 'EXOGENOUS_EFFECT',
  },
  'quartz': {
    'id': 'q{i}',
    'question': 'Is it',
    'choices': {'text': ['more', 'less'], 'label': ['A', 'B']},
    'answerKey': 'B',
    'para': 'Heat is less.',
    'para_id': 'p',
  },
  'ropes': {
    'id': '{i}',
    'background': 'Rain falls {i}.',
    'situation': 'Ada was in Rome. ',
    'question': 'Who?',
    'answers': {'text': ['Ada']},
  },
  'cnn_dailymail': {
    'article': 'Long.',
    'highlights': 'Short .\nShorter .',
    'id': '{i}',
  },
  'xsum': {'document': 'Long.', 'summary': 'Short.', 'id': '{i}'},
  'scitldr': {
    'source': ['One.', 'Two.'],
    'source_labels': [0, 1],
    'rouge_scores': [0.5, 1.0],
    'paper_id': '{i}',
    'target': ['A.', 'B.'],
  },
  'squad': {
    'id': '{i}',
    'title': 'T{split}{i}',
    'context': 'In Rome, Ada.',
    'question': 'Where?',
    'answers': {'text': ['Rome', 'In Rome'], 'answer_start': [3, 0]},
  },
  'wikidyk': {
    'case_id': '{i}',
    'fact': 'that Ada {i} is in Rome?',
    'eval': {
      'reliability': {'prompt': 'Where is Ada {i}?', 'answer': ['Rome']},
      'factual': None,
    },
  },
}
# The source and targets that the first of them becomes.
BECOME = {
  'nq_open': ('who 0?', ('Ada', 'Al')),
  'web_questions': ('who 0?', ('Ada', 'Al')),
  'trivia_qa': ('Where 0?', ('New York', 'NYC')),
  'aidayago2': ('One [START_ENT] Ada [END_ENT] two', ('Ada Lovelace',)),
  'zsre': ('Ada [SEP] r0', ('x',)),
  'wow': ('Hi!\nYes?', ('Oh.',)),
  'wiqa': (
    r'suppose x? \n (A) more (B) less (C) no effect \n One. Two.',
    ('no effect',),
  ),
  'quartz': (r'Is it \n (A) more (B) less \n Heat is less.', ('less',)),
  'ropes': (r'Who? \n Rain falls 0. Ada was in Rome.', ('Ada',)),
  'cnn_dailymail': ('Long.', ('Short .\nShorter .',)),
  'xsum': ('Long.', ('Short.',)),
  'scitldr': ('One. Two.', ('A.', 'B.')),
  'squad': ('Where?', ('Rome', 'In Rome')),
  'wikidyk': ('Where is Ada 4?\nAnswer:', ('Rome',)),  # the fact that is cut off
}
HUB = {name: (ROWS[name], *become) for name, become in BECOME.items()}


def _filled(value, split, i):
  """Puts the number of a row, and the split, into all its strings."""
  if isinstance(value, str):
    return value.replace('{i}', str(i)).replace('{split}', split)
  if isinstance(value, list):
    return [_filled(item, split, i) for item in value]
  if isinstance(value, dict):
    return {key: _filled(item, split, i) for key, item in value.items()}
  return value


def snapshot(root, name, count=10):
  """Writes what the hub has of a task: rows of its schema, as Parquet."""
  official = OFFICIAL[name]
  pattern = official.pattern or f'{official.config}/{{split}}-*.parquet'
  for split in official.splits.values():
    path = root / pattern.format(split=split).replace('*', '00000')
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [_filled(ROWS[name], split, i) for i in range(count)]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
  return root


def disjoint(task, field='group'):
  """What each split of a task asks about, none of which is in two of them."""
  asked = [{getattr(e, field) for e in task.split(split)} for split in splits.SPLITS]
  assert len(set().union(*asked)) == sum(map(len, asked))
  return asked


def sizes(task):
  """The number of questions in each split."""
  return [len(task.split(split)) for split in splits.SPLITS]
