"""Every file of real records loads, whole and damaged, and its answers are right."""

import gzip
import json
import re

import pytest

from masklearn import tasks
from masklearn.evaluation import metrics
from masklearn.io import record_files
from masklearn.tasks import closed_book, kilt, multiple_choice, squad, summarization
from masklearn.types import InputError, Span

KILT = kilt.parser()
NQ, WEB, TRIVIA = closed_book.parse_nq, closed_book.parse_web, closed_book.parse_trivia
WIQA, QUARTZ = multiple_choice.parse_wiqa, multiple_choice.parse_quartz
ROPES = multiple_choice.parse_ropes
CNN, SCITLDR = summarization.parse_cnn, summarization.parse_scitldr
SQUAD = squad.parse
ORIGINAL = 'triviaqa/original_schema/'
EXAMPLES = 'webquestions/original_schema/webquestions.examples.'
UNANSWERED = 'test_without_answers-kilt.jsonl'
ZERO_SHOT = 'kilt/structured_zeroshot-'

# file: parser, records, beginnings of the first source and of its first target
FILES = {
  'nq_open/NQ-open.dev.jsonl': (NQ, 3610, 'when was the last time', '14 December 1972'),
  'nq_open/nq_dpr_dev.jsonl.gz': (NQ, 8757, 'who sings does he love', 'Linda Davis'),
  'webquestions/trainmodel.json': (WEB, 2834, 'what character did', 'Padmé Amidala'),
  'webquestions/devtest.json': (WEB, 189, 'what is the name of', 'Jazmyn Bieber'),
  'webquestions/val.json': (WEB, 755, 'what kind of money to', 'Bahamian dollar'),
  f'{EXAMPLES}train.sample.json': (WEB, 2, 'what does jamaican', 'Jamaican Creole'),
  f'{EXAMPLES}test.sample.json': (WEB, 1, 'what else did ben', 'Lightning rod'),
  'facts/webquestions_in_factbook.jsonl': (WEB, 310, 'what two countries', 'Germany'),
  f'{ORIGINAL}web-train.sample.json': (TRIVIA, 3, 'Which American', 'Sinclair Lewis'),
  f'{ORIGINAL}wikipedia-train.sample.json': (TRIVIA, 1, 'Where in England', 'York'),
  f'{ORIGINAL}wikipedia-dev.sample.json': (TRIVIA, 1, 'Which Lloyd Webber', 'Sunset'),
  'triviaqa/triviaqa_dpr_dev_first4000.jsonl.gz': (TRIVIA, 4000, 'The VS', 'Helicop'),
  'facts/factbook_slots.jsonl.gz': (KILT, 2418, 'Algeria [SEP] capital', 'Algiers'),
  'kilt/fever-train-kilt.jsonl': (KILT, 5, 'Nikolaj Coster-Waldau', 'SUPPORTS'),
  'kilt/fever-dev-kilt.jsonl': (KILT, 5, 'Fox 2000 Pictures', 'SUPPORTS'),
  'kilt/hotpotqa-train-kilt.jsonl': (KILT, 5, 'Which magazine was', "Arthur's"),
  'kilt/hotpotqa-dev-kilt.jsonl': (KILT, 5, 'Were Scott Derrickson and', 'yes'),
  'kilt/nq-train-kilt.jsonl': (KILT, 5, 'how i.met your mother', 'Tracy McConnell'),
  'kilt/nq-dev-kilt.jsonl': (KILT, 5, 'what do the 3 dots mean', 'the therefore sign'),
  f'kilt/nq-{UNANSWERED}': (KILT, 5, 'what is the definition', None),
  f'{ZERO_SHOT}train-kilt.jsonl': (KILT, 5, 'Abarema cochleata var', 'vulnerable'),
  f'{ZERO_SHOT}dev-kilt.jsonl': (KILT, 5, 'USA-88 [SEP] time of', '3 February 1993'),
  f'{ZERO_SHOT}{UNANSWERED}': (KILT, 5, 'Emily Halliday [SEP] participant of', None),
  'kilt/trex-train-kilt.jsonl': (KILT, 5, 'Serge Blisko [SEP] occupa', 'politician'),
  'kilt/trex-dev-kilt.jsonl': (KILT, 5, 'Cirith Ungol [SEP] genre', 'heavy metal'),
  f'kilt/trex-{UNANSWERED}': (KILT, 5, 'Robert McBride [SEP] occupation', None),
  'kilt/wned-dev-kilt.jsonl': (KILT, 5, 'Robin " Bob " Coverdale', 'Sculcoates'),
  f'kilt/wned-{UNANSWERED}': (KILT, 5, "Lawrence ' Larry '", None),
  'kilt/wow-train-kilt.jsonl': (KILT, 5, 'I like to watch ice', 'The Blackhawks are'),
  'kilt/wow-dev-kilt.jsonl': (KILT, 5, 'I love the 1980s music', 'Tears For Fears'),
  f'kilt/wow-{UNANSWERED}': (KILT, 5, 'i love hunting where', None),
  'wiqa/train.sample.jsonl': (WIQA, 2, 'suppose there will be fewer', 'more'),
  'wiqa/dev.sample.jsonl': (WIQA, 2, 'suppose squirrels get sick', 'more'),
  'quartz/train.sample.jsonl': (QUARTZ, 2, "John's town used to have", 'scarce'),
  'quartz/dev.sample.jsonl': (QUARTZ, 2, 'If Jim moves some particles', 'decrease'),
  'ropes/train-v1.0.first3000.json.gz': (ROPES, 3001, 'Which cup has a', 'cup B'),
  'ropes/dev-v1.0.first_backgrounds.json.gz': (ROPES, 400, 'Which group', 'Group B'),
  'cnndm/cnndm_sample.train.0.first4.json': (CNN, 4, '( cnn ) -- that', 'pov video'),
  'scitldr/SciTLDR-A.train.first600.jsonl.gz': (SCITLDR, 600, 'Due to', 'We provide'),
  'scitldr/SciTLDR-A.dev.first200.jsonl.gz': (SCITLDR, 200, 'Mixed', 'We devise'),
  'squad_like/xquad.en.json.gz': (SQUAD, 1190, 'How many points did the', '308'),
  'squad_like/new_wiki_40articles.json.gz': (SQUAD, 6460, 'is there a', 'Each broth'),
  'qed/qed-dev.first1000.jsonl.gz': (SQUAD, 1000, 'who got the first', 'Wilhelm'),
}
# What is in the first sources besides the question.
MORE_OR_LESS = r' \n (A) more (B) less (C) no effect \n '
INSIDE = {
  'wiqa/train.sample.jsonl': MORE_OR_LESS + 'A tree produces seeds. The seeds are disp',
  'wiqa/dev.sample.jsonl': MORE_OR_LESS + 'Squirrels try to eat as much as possible. S',
  'quartz/train.sample.jsonl': r' \n (A) scarce (B) plentiful \n Many of the worlds',
  'ropes/train-v1.0.first3000.json.gz': r'? \n Passive transport occurs when',
  'cnndm/cnndm_sample.train.0.first4.json': ' made an inspiring , gorgeous video of ',
}


def test_the_table_has_every_file(shared_data):
  """No file that belongs to a task is forgotten; KILT's TriviaQA has its own test."""
  folders = {name.split('/')[0] for name in FILES}
  there = {
    str(path.relative_to(shared_data))
    for folder in folders
    for path in (shared_data / folder).rglob('*.json*')
    if not path.name.startswith('triviaqa-') and path.name != 'countries.jsonl'
  }
  assert there == set(FILES)


@pytest.mark.parametrize('name', FILES)
def test_real_records(shared_data, name):
  """All records are used; each answer, given as prediction, is an exact match."""
  parse, count, source, target = FILES[name]
  examples, problems = record_files.read_records(shared_data / name, parse)
  assert not problems
  assert len(examples) == len({example.id for example in examples}) == count
  assert examples[0].source.startswith(source)
  assert INSIDE.get(name, '') in examples[0].source
  for example in examples:
    for span in example.answer_spans:
      assert example.context[span.start : span.end] in example.targets
  if target is None:
    assert not any(example.targets for example in examples)
    return
  assert examples[0].targets[0].startswith(target)
  right = [metrics.exact_match(t, e.targets) for e in examples for t in e.targets[:1]]
  assert sum(right) / count == 1.0


def test_spans_of_real_records(shared_data):
  """Context, places and group come along, also where places overlap."""
  examples, _ = squad.read(shared_data / 'squad_like' / 'new_wiki_40articles.json.gz')
  first = examples[0]
  assert first.group == 'Armenian_Apostolic_Church'
  assert first.context.startswith('The Monastic Brotherhood consists of')
  assert first.answer_spans == (Span(570, 661), Span(594, 607))
  assert len({example.group for example in examples}) == 40
  examples, _ = squad.read(shared_data / 'qed' / 'qed-dev.first1000.jsonl.gz')
  assert examples[0].answer_spans == (Span(56, 91), Span(56, 78))
  assert examples[0].group == 'List of Nobel laureates in Physics'
  path = shared_data / 'facts' / 'factbook_slots.jsonl.gz'
  examples, _ = record_files.read_records(path, KILT)
  assert all(e.context and e.answer_spans for e in examples)
  assert (examples[0].group, examples[0].label) == ('Algeria', 'capital')


DAMAGE = {
  'cut in the middle': lambda line: line[: len(line) // 2],
  'not UTF-8': lambda line: line.replace(b'e', b'\xff', 1),
}


@pytest.mark.parametrize('damage', DAMAGE)
@pytest.mark.parametrize('name', [name for name in FILES if '.jsonl' in name])
def test_a_damaged_line(shared_data, tmp_path, name, damage):
  """One bad line is named and skipped, and the others are kept."""
  parse, count, *_ = FILES[name]
  data = (shared_data / name).read_bytes()
  data = gzip.decompress(data) if name.endswith('.gz') else data
  path = tmp_path / 'damaged.jsonl'
  first, second, *rest = data.split(b'\n')
  path.write_bytes(b'\n'.join([first, DAMAGE[damage](second), *rest]))
  examples, (problem,) = record_files.read_records(path, parse)
  assert len(examples) == count - 1
  assert problem.startswith(f'{path}:2: not ')


@pytest.mark.parametrize('name', [name for name in FILES if '.jsonl' not in name])
def test_a_damaged_document(shared_data, tmp_path, name):
  """A document that ends too soon, or is not UTF-8, is an error with its line."""
  data = (shared_data / name).read_bytes()
  data = gzip.decompress(data) if name.endswith('.gz') else data
  path = tmp_path / 'damaged.json'
  half = data[: len(data) // 2]
  path.write_bytes(half)
  parse = FILES[name][0]
  with pytest.raises(InputError, match=r'damaged.json:(\d+): not JSON: ') as error:
    record_files.read_records(path, parse)
  line = int(re.search(r'json:(\d+):', str(error.value))[1])
  assert 1 <= line <= half.count(b'\n') + 1
  path.write_bytes(half + b'\xff' + data[len(data) // 2 :])
  line = half.count(b'\n') + 1
  with pytest.raises(InputError, match=rf'damaged.json:{line}: not UTF-8 at byte'):
    record_files.read_records(path, parse)


@pytest.mark.parametrize('name', [name for name in FILES if name.endswith('.gz')])
def test_a_truncated_archive(shared_data, tmp_path, name):
  """Half an archive is an error that names the file and the line it comes to."""
  path = tmp_path / name.rsplit('/', 1)[-1]
  data = (shared_data / name).read_bytes()
  path.write_bytes(data[: len(data) // 2])
  expected = rf'{path.name} cannot be read: .*, in line [1-9]\d*\.'
  with pytest.raises(InputError, match=expected):
    record_files.read_records(path, FILES[name][0])


@pytest.mark.parametrize('name', FILES)
def test_a_missing_field(shared_data, tmp_path, name):
  """A record that lacks a field is named by its place, and the others are kept."""
  parse, count, *_ = FILES[name]
  found = [f.value for f in record_files.read(shared_data / name)]
  # In the flat form, which is as good as the nested one.
  needed = ('question', 'utterance', 'qText', 'Question', 'input', 'src', 'source')
  key = next(k for k in (*needed, 'question_text') if k in found[0])
  bad = {k: v for k, v in found[0].items() if k != key}
  path = tmp_path / 'missing.jsonl'
  path.write_text('\n'.join(map(json.dumps, [bad, *found[1:]])) + '\n')
  if count == 1:
    with pytest.raises(InputError, match=rf'1 are bad, the first at {path}:1: .*{key}'):
      record_files.read_records(path, parse)
    return
  examples, (problem,) = record_files.read_records(path, parse)
  assert len(examples) == count - 1
  assert re.match(rf"{re.escape(str(path))}:1: .*'?{key}'?", problem)


@pytest.mark.parametrize(
  ('task', 'name', 'looks'),
  [
    ('nq_open', 'kilt/nq-train-kilt.jsonl', 'this looks like a KILT record'),
    ('kilt', 'squad_like/xquad.en.json.gz', 'this looks like a SQuAD record'),
    ('squad', 'ropes/dev-v1.0.first_backgrounds.json.gz', 'a ROPES record'),
    ('ropes', 'quartz/dev.sample.jsonl', 'a QuaRTz record'),
    ('quartz', 'wiqa/dev.sample.jsonl', 'a WIQA record'),
    ('web_questions', 'nq_open/NQ-open.dev.jsonl', 'an NQ-open record'),
    ('trivia_qa', 'webquestions/val.json', 'a WebQuestions record of YodaQA'),
    ('cnn_dailymail', 'scitldr/SciTLDR-A.dev.first200.jsonl.gz', 'a SciTLDR record'),
    ('xsum', 'cnndm/cnndm_sample.train.0.first4.json', 'a PreSumm record'),
    ('wow', 'triviaqa/original_schema/web-train.sample.json', 'a TriviaQA record'),
  ],
)
def test_a_file_of_another_task(shared_data, task, name, looks):
  """A file of the wrong schema is one error: what it looks like, what was expected."""
  first = r'has no usable record; \d+ are bad, the first at \S+:\d+: '
  with pytest.raises(InputError, match=rf'{first}.*{looks}, expected a'):
    tasks.load(task, seed=0, train=shared_data / name)
