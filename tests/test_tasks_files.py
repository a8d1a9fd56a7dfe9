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
MORE_OR_LESS = r' \n (A) more (B) less (C) no effect \n '

# file: parser, records, beginnings of the first source and of its first target
FILES = {
  'nq_open/NQ-open.dev.jsonl': (
    NQ,
    3610,
    'when was the last time anyone was on the moon',
    '14 December 1972 UTC',
  ),
  'nq_open/nq_dpr_dev.jsonl.gz': (
    NQ,
    8757,
    'who sings does he love me with reba',
    'Linda Davis',
  ),
  'webquestions/trainmodel.json': (
    WEB,
    2834,
    'what character did natalie portman play in star wars?',
    'Padmé Amidala',
  ),
  'webquestions/devtest.json': (
    WEB,
    189,
    'what is the name of justin bieber brother?',
    'Jazmyn Bieber',
  ),
  'webquestions/val.json': (
    WEB,
    755,
    'what kind of money to take to bahamas?',
    'Bahamian dollar',
  ),
  'webquestions/original_schema/webquestions.examples.train.sample.json': (
    WEB,
    2,
    'what does jamaican people speak?',
    'Jamaican Creole English Language',
  ),
  'webquestions/original_schema/webquestions.examples.test.sample.json': (
    WEB,
    1,
    'what else did ben franklin invent?',
    'Lightning rod',
  ),
  'facts/webquestions_in_factbook.jsonl': (
    WEB,
    310,
    'what two countries invaded poland in the beginning of ww2?',
    'Germany',
  ),
  'triviaqa/original_schema/web-train.sample.json': (
    TRIVIA,
    3,
    'Which American-born Sinclair won the Nobel Prize for Literature in 1930?',
    'Sinclair Lewis',
  ),
  'triviaqa/original_schema/wikipedia-train.sample.json': (
    TRIVIA,
    1,
    'Where in England was Dame Judi Dench born?',
    'York',
  ),
  'triviaqa/original_schema/wikipedia-dev.sample.json': (
    TRIVIA,
    1,
    'Which Lloyd Webber musical premiered in the US on 10th December 1993?',
    'Sunset Boulevard',
  ),
  'triviaqa/triviaqa_dpr_dev_first4000.jsonl.gz': (
    TRIVIA,
    4000,
    'The VS-300 was a type of what?',
    'Helicopter',
  ),
  'facts/factbook_slots.jsonl.gz': (KILT, 2418, 'Algeria [SEP] capital', 'Algiers'),
  'kilt/fever-train-kilt.jsonl': (KILT, 5, 'Nikolaj Coster-Waldau', 'SUPPORTS'),
  'kilt/fever-dev-kilt.jsonl': (KILT, 5, 'Fox 2000 Pictures', 'SUPPORTS'),
  'kilt/hotpotqa-train-kilt.jsonl': (
    KILT,
    5,
    'Which magazine was started first',
    "Arthur's Magazine",
  ),
  'kilt/hotpotqa-dev-kilt.jsonl': (KILT, 5, 'Were Scott Derrickson and', 'yes'),
  'kilt/nq-train-kilt.jsonl': (KILT, 5, 'how i.met your mother', 'Tracy McConnell'),
  'kilt/nq-dev-kilt.jsonl': (KILT, 5, 'what do the 3 dots mean', 'the therefore sign'),
  'kilt/nq-test_without_answers-kilt.jsonl': (KILT, 5, 'what is the definition', None),
  'kilt/structured_zeroshot-train-kilt.jsonl': (
    KILT,
    5,
    'Abarema cochleata var. moniliformis [SEP] IUCN conservation status',
    'vulnerable',
  ),
  'kilt/structured_zeroshot-dev-kilt.jsonl': (
    KILT,
    5,
    'USA-88 [SEP] time of spacecraft launch',
    '3 February 1993',
  ),
  'kilt/structured_zeroshot-test_without_answers-kilt.jsonl': (
    KILT,
    5,
    'Emily Halliday [SEP] participant of',
    None,
  ),
  'kilt/trex-train-kilt.jsonl': (
    KILT,
    5,
    'Serge Blisko [SEP] occupation',
    'politician',
  ),
  'kilt/trex-dev-kilt.jsonl': (KILT, 5, 'Cirith Ungol [SEP] genre', 'heavy metal'),
  'kilt/trex-test_without_answers-kilt.jsonl': (
    KILT,
    5,
    'Robert McBride [SEP] occupation',
    None,
  ),
  'kilt/wned-dev-kilt.jsonl': (
    KILT,
    5,
    'Robin " Bob " Coverdale ( birth',
    'Sculcoates',
  ),
  'kilt/wned-test_without_answers-kilt.jsonl': (KILT, 5, "Lawrence ' Larry '", None),
  'kilt/wow-train-kilt.jsonl': (
    KILT,
    5,
    'I like to watch ice hockey on TV.',
    'The Blackhawks are one of my favorite teams',
  ),
  'kilt/wow-dev-kilt.jsonl': (
    KILT,
    5,
    'I love the 1980s music',
    'Tears For Fears formed in 1981',
  ),
  'kilt/wow-test_without_answers-kilt.jsonl': (KILT, 5, 'i love hunting where', None),
  'wiqa/train.sample.jsonl': (
    WIQA,
    2,
    'suppose there will be fewer new trees happens, how will it affect LESS forest '
    'formation.' + MORE_OR_LESS + 'A tree produces seeds. The seeds are dispersed by',
    'more',
  ),
  'wiqa/dev.sample.jsonl': (
    WIQA,
    2,
    'suppose squirrels get sick happens, how will it affect squirrels need more food.'
    + MORE_OR_LESS
    + 'Squirrels try to eat as much as possible. Squirrel gains weight',
    'more',
  ),
  'quartz/train.sample.jsonl': (
    QUARTZ,
    2,
    "John's town used to have lots of water, back when there were only a few hundred "
    'people. However, now that the town holds several thousand people, the water '
    r'availability is \n (A) scarce (B) plentiful \n Many of the worlds people live',
    'scarce',
  ),
  'quartz/dev.sample.jsonl': (QUARTZ, 2, 'If Jim moves some particles', 'decrease'),
  'ropes/train-v1.0.first3000.json.gz': (
    ROPES,
    3001,
    r'Which cup has a higher concentration of sugar? \n Passive transport occurs when',
    'cup B',
  ),
  'ropes/dev-v1.0.first_backgrounds.json.gz': (
    ROPES,
    400,
    r'Which group has a higher likely hood of brain damage? \n Many chemicals that',
    'Group B',
  ),
  'cnndm/cnndm_sample.train.0.first4.json': (
    CNN,
    4,
    '( cnn ) -- that chris smith made an inspiring , gorgeous video of himself',
    'pov video has gone viral on youtube\njuggler chris smith says he was',
  ),
  'scitldr/SciTLDR-A.train.first600.jsonl.gz': (
    SCITLDR,
    600,
    'Due to the success of deep learning to solving',
    'We provide necessary and sufficient analytical forms',
  ),
  'scitldr/SciTLDR-A.dev.first200.jsonl.gz': (
    SCITLDR,
    200,
    'Mixed precision training (MPT) is becoming a practical technique',
    'We devise adaptive loss scaling to improve mixed precision training',
  ),
  'squad_like/xquad.en.json.gz': (
    squad.parse,
    1190,
    'How many points did the Panthers defense surrender?',
    '308',
  ),
  'squad_like/new_wiki_40articles.json.gz': (
    squad.parse,
    6460,
    'is there a delegate?',
    'Each brotherhood elects two delegates',
  ),
  'qed/qed-dev.first1000.jsonl.gz': (
    squad.parse,
    1000,
    'who got the first nobel prize in physics',
    'Wilhelm Conrad Röntgen , of Germany',
  ),
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


def damaged(data, damage):
  """Returns the bytes of a file after what has happened to it."""
  lines = data.split(b'\n')
  if damage == 'cut in the middle':
    lines[1] = lines[1][: len(lines[1]) // 2]
  elif damage == 'not UTF-8':
    lines[1] = lines[1].replace(b'e', b'\xff', 1)
  return b'\n'.join(lines)


@pytest.mark.parametrize('damage', ['cut in the middle', 'not UTF-8'])
@pytest.mark.parametrize('name', [name for name in FILES if '.jsonl' in name])
def test_a_damaged_line(shared_data, tmp_path, name, damage):
  """One bad line is named and skipped, and the others are kept."""
  parse, count, *_ = FILES[name]
  data = (shared_data / name).read_bytes()
  data = gzip.decompress(data) if name.endswith('.gz') else data
  path = tmp_path / 'damaged.jsonl'
  path.write_bytes(damaged(data, damage))
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
  with pytest.raises(
    InputError, match=rf'{path.name} cannot be read: .*, in line [1-9]\d*\.'
  ):
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
