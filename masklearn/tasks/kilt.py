"""Knowledge-intensive language tasks: any file of KILT, and three tasks of it.

A record is {"id", "input", "output": [{"answer", "provenance"}, ...], "meta"}. All
answers are targets, once each; an output that has provenance alone is no answer. A
record without `output` loads as a test question without targets: it can be answered,
not scored. Slot filling asks "subject [SEP] relation": the group is the subject, the
label the relation. Elsewhere the group is the Wikipedia title of the first provenance,
so that questions meet passages of a corpus whose groups are titles. Records may carry a
`context`, where an output with `context_start` says that its answer stands.

The answers of KILT's tests are not public, so that its development questions are the
test, and validation questions are cut off training.

References:
  Petroni et al., KILT: a Benchmark for Knowledge Intensive Language Tasks, NAACL 2021;
  https://github.com/facebookresearch/KILT.
"""

import dataclasses
import os
import pathlib
import re
from collections.abc import Callable, Mapping
from typing import Any, Unpack

from masklearn.io import record_files
from masklearn.io.lookup import check_name
from masklearn.io.records import text_field
from masklearn.tasks import benchmark, closed_book, fields, splits
from masklearn.types import Example, InputError, Task

# How KILT's leaderboard scores the task of a file, by the beginning of its name.
METRICS = {
  'nq': 'em',
  'triviaqa': 'em',
  'hotpotqa': 'em',
  'fever': 'accuracy',
  'aidayago2': 'accuracy',
  'wned': 'accuracy',
  'cweb': 'accuracy',
  'trex': 'accuracy',
  'structured_zeroshot': 'accuracy',
  'eli5': 'rougeL',
  'wow': 'f1',
}


def _official(config: str) -> benchmark.Official:
  return benchmark.Official(
    hub_id='facebook/kilt_tasks',
    config=config,
    revision='1af4af947c43df43514eb4c05aa1dc12759a9da2',
    splits={'train': 'train', 'test': 'validation'},
    files=(benchmark.files(f'{config}-{{}}-kilt.jsonl', train='train', test='dev'),),
    pattern=f'{config}/kilt_tasks-{{split}}*.parquet',
    metric=METRICS[config],
  )


AIDAYAGO2 = _official('aidayago2')
ZSRE = _official('structured_zeroshot')
WOW = _official('wow')

_MENTION = re.compile(r'\[START_ENT\].*?\[END_ENT\]', re.DOTALL)


def aidayago2(seed: int, window: int = 64, **where: Unpack[benchmark.Where]) -> Task:
  """AIDA-YAGO2: the Wikipedia page that a mention in a news text refers to.

  Source: the text with the mention between [START_ENT] and [END_ENT], and no more than
  `window` words of it on either side. Target: the title of the page. Metric: accuracy,
  KILT's strict comparison. Validation is cut by document.

  Args:
    seed: of the split.
    window: words kept on either side. The official input is the whole text, up to
      thousands of words, of which a model that reads a few hundred tokens would often
      see anything but the mention; 64 + 64 words are about 200 tokens. 0 keeps all.
    **where: see `benchmark.Where`.
  """

  def document(example):
    return example.id.rpartition(':')[0] or example.id  # DOCUMENT:MENTION

  parse = _shortened(around_mention, window)
  return benchmark.task('aidayago2', seed, AIDAYAGO2, parse, key=document, **where)


def zsre(seed: int, templates: bool = False, **where: Unpack[benchmark.Where]) -> Task:
  """Zero-shot relation extraction, as slot filling.

  Source: "subject [SEP] relation", the official input. Targets: the objects. Metric:
  accuracy. The official splits share no relation, and neither do those that are cut.

  Args:
    seed: of the split.
    templates: asks the first of `template_questions`, in words, instead.
    **where: see `benchmark.Where`.

  References:
    Levy et al., Zero-Shot Relation Extraction via Reading Comprehension, CoNLL 2017.
  """

  def relation(example):
    return example.label or example.source

  parse = parser(templates=templates)
  return benchmark.task('zsre', seed, ZSRE, parse, key=relation, **where)


def wow(seed: int, window: int = 128, **where: Unpack[benchmark.Where]) -> Task:
  """Wizard of Wikipedia: the next turn of a conversation.

  Source: the turns so far, a line each; of long ones the last turns that have at most
  `window` words together, as the answer is to the last. Target: the reply. Metric: F1.
  Validation is cut by conversation.

  Args:
    seed: of the split.
    window: words; 0 keeps the official input, all turns.
    **where: see `benchmark.Where`.

  References:
    Dinan et al., Wizard of Wikipedia: Knowledge-Powered Conversational Agents, ICLR
    2019.
  """

  def conversation(example):
    return example.id.rpartition('_')[0] or example.id  # CONVERSATION_TURN

  parse = _shortened(last_turns, window)
  return benchmark.task('wow', seed, WOW, parse, key=conversation, **where)


def kilt(
  seed: int,
  questions: str | os.PathLike = '',
  templates: bool = False,
  metric: str = '',
  **where: Unpack[benchmark.Where],
) -> Task:
  """The questions of any KILT files; what is cut off training is cut by group.

  Source: the official input. Targets: the answers.

  Args:
    seed: of the split.
    questions: a file of TriviaQA as published, or a directory of them: KILT's TriviaQA
      has ids alone, and takes the questions from there. The first target then is
      TriviaQA's original answer.
    templates: asks the first of `template_questions` where there are some.
    metric: of `splits.METRICS`; '' takes KILT's for the official name of the training
      file, and 'em' for any other.
    **where: see `benchmark.Where`; `train` is needed.
  """
  if metric:
    check_name(splits.METRICS, metric, 'metric')
  read = parser(read_questions(questions) if questions else {}, templates)
  official = pathlib.Path(where.get('train', '')).name.partition('-')[0]
  task = benchmark.task('kilt', seed, None, read, **where)
  return dataclasses.replace(task, metric=metric or METRICS.get(official, 'em'))


def read_questions(path: str | os.PathLike) -> dict[str, Example]:
  """The questions of TriviaQA by id, of a file or all JSON of a directory."""
  path = pathlib.Path(path)
  paths = [path]
  if path.is_dir():
    paths = sorted([*path.rglob('*.json'), *path.rglob('*.json.gz')])
  if not paths:
    raise InputError(f'{path} holds no JSON of TriviaQA, such as qa/web-train.json.')
  found = {}
  for file in paths:
    examples, problems = record_files.read_records(file, closed_book.parse_trivia)
    splits.report(problems, str(file))
    for example in examples:
      found.setdefault(example.id, example)
  return found


def parser(
  questions: Mapping[str, Example] | None = None, templates: bool = False
) -> fields.Parser:
  """A parser of KILT records, of a file or of the hub.

  Args:
    questions: by id, for records without input.
    templates: whether to ask in words, where `template_questions` has some.
  """
  questions = questions or {}

  def parse(record: dict[str, Any], default_id: str) -> Example:
    ident = text_field(record, 'id', default_id)
    other = questions.get(ident)
    source = _source(record, other)
    subject, _, relation = source.partition(' [SEP] ')
    if templates and (asked := _templates(record)):
      source = asked[0]
    targets, places, title = _outputs(record)
    if targets and other and other.targets:
      targets = dict.fromkeys([other.targets[0], *targets])
    context = text_field(record, 'context', '')
    return Example(
      id=ident,
      source=source,
      targets=tuple(targets),
      group=subject if relation else title,
      label=relation,
      context=context,
      answer_spans=fields.spans(context, places),
    )

  return fields.by_kind(dict.fromkeys(fields.KILT, parse))


def around_mention(text: str, window: int) -> str:
  """A mention with at most `window` words before it and after it; 0 keeps all.

  Raises:
    ValueError: the text has no mention between [START_ENT] and [END_ENT].

  >>> around_mention('Off to [START_ENT] Rome [END_ENT] by train today.', 1)
  'to [START_ENT] Rome [END_ENT] by'
  """
  mention = _MENTION.search(text)
  if not mention:
    raise ValueError("'input' has no mention between [START_ENT] and [END_ENT].")
  if not window:
    return text
  words = [match.span() for match in re.finditer(r'\S+', text)]
  before = [start for start, end in words if end <= mention.start()][-window:]
  after = [end for start, end in words if start >= mention.end()][:window]
  first = before[0] if before else mention.start()
  return text[first : after[-1] if after else mention.end()]


def last_turns(text: str, window: int) -> str:
  r"""The last lines that have at most `window` words together; 0 keeps all.

  A last line that is longer by itself is cut to its last words.

  >>> last_turns('Hello there.\nHi.\nHow are you?', 4)
  'Hi.\nHow are you?'
  """
  if not window:
    return text
  turns, count = [], 0
  for turn in reversed(text.split('\n')):
    count += len(turn.split())
    if count > window and turns:
      break
    turns.append(turn)
  if count > window and len(turns) == 1:
    starts = [match.start() for match in re.finditer(r'\S+', turns[0])]
    return turns[0][starts[-window] :]
  return '\n'.join(reversed(turns))


def _shortened(shorten: Callable[[str, int], str], window: int) -> fields.Parser:
  """A parser of records whose inputs are shortened to a window of words."""
  if window < 0:
    raise InputError(f'window must be at least 0 words, got {window}.')
  read = parser()

  def parse(record, default_id):
    example = read(record, default_id)
    return dataclasses.replace(example, source=shorten(example.source, window))

  return parse


def _source(record: dict[str, Any], other: Example | None) -> str:
  if record.get('input') not in (None, ''):  # the hub writes '' for none
    return text_field(record, 'input')
  if other is None:
    raise ValueError(
      "no 'input', and no question of this id from questions=FILE: one of TriviaQA's "
      'own has what KILT leaves out.'
    )
  return other.source


def _templates(record: dict[str, Any]) -> tuple[str, ...]:
  meta = record.get('meta') or {}
  if not isinstance(meta, dict):
    raise ValueError(f"'meta' must be an object, got {meta!r:.40}.")
  key = 'template_questions'
  return fields.strings(meta, key) if meta.get(key) else ()


def _outputs(record: dict[str, Any]) -> tuple[dict[str, None], list, str]:
  """The different answers, where they begin in the context, and a title."""
  targets, places, title = {}, [], ''
  outputs = fields.objects(record, 'output') if record.get('output') else []
  for i, output in enumerate(outputs):
    title = title or _title(output)
    # The hub writes '' where there is provenance alone.
    given = output.get('answer') not in (None, '')
    named = [(f'output[{i}].answer', output['answer'])] if given else []
    for answer in fields.different(named):
      targets[answer] = None
      if output.get('context_start') is not None:
        places.append((output['context_start'], answer))
  if outputs and not targets:
    raise ValueError("no answer in 'output', only provenance.")
  return targets, places, title


def _title(output: dict[str, Any]) -> str:
  rows = fields.objects(output, 'provenance') if output.get('provenance') else []
  titles = (row.get('title') for row in rows)
  return next((title for title in titles if isinstance(title, str) and title), '')
