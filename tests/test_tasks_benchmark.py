"""Published tasks from files, directories, snapshots of the hub, and the hub."""

import json
import logging
import pathlib
import tomllib
import types

import datasets
import huggingface_hub
import pytest
from ml_collections import config_dict

from configs import world
from masklearn import data, study, tasks, text
from masklearn.evaluation import metrics
from masklearn.io import files
from masklearn.study import mask_rows
from masklearn.tasks import (
  benchmark,
  closed_book,
  kilt,
  multiple_choice,
  splits,
  squad,
  wikidyk,
)
from masklearn.types import Example, InputError, Passage, Task
from tests.documents import lines
from tests.published import HUB, METRICS, OFFICIAL, disjoint, sizes, snapshot

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture
def offline(tmp_path, monkeypatch):
  """The hub cannot be reached, and what is cached is cached in the test's folder."""
  monkeypatch.setenv('HF_HUB_OFFLINE', '1')
  monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_OFFLINE', True)
  monkeypatch.setattr(datasets.config, 'HF_HUB_OFFLINE', True)
  monkeypatch.setattr(datasets.config, 'HF_DATASETS_CACHE', tmp_path / 'cache')


@pytest.mark.parametrize('name', HUB)
def test_a_snapshot_of_the_hub(tmp_path, name):
  """Its Parquet files are found and read; splits that it lacks are cut off training."""
  task = tasks.load(name, seed=0, source=snapshot(tmp_path, name))
  _, source, targets = HUB[name]
  assert task.metric == METRICS.get(name, 'em')
  assert task.metric in metrics.METRICS
  assert (task.test[0].source, task.test[0].targets) == (source, targets)
  expected = {3: [10, 10, 10], 2: [9, 1, 10], 1: [8, 1, 1]}
  assert sizes(task) == expected[len(OFFICIAL[name].splits)]
  assert tasks.load(name, seed=0, source=tmp_path) == task


@pytest.mark.parametrize('name', ['nq_open', 'squad', 'quartz', 'zsre', 'wikidyk'])
def test_the_hub(tmp_path, monkeypatch, offline, name):
  """`datasets` gives the same questions; here its hub is a folder."""
  root = snapshot(tmp_path / 'hub', name)
  official = OFFICIAL[name]
  pattern = official.pattern or f'{official.config}/{{split}}-*.parquet'
  near = official._replace(hub_id=str(root), pattern=pattern)
  for module in (closed_book, squad, multiple_choice, kilt, wikidyk):
    for key, value in list(vars(module).items()):
      if value is official:
        monkeypatch.setattr(module, key, near)
  found, expected = (tasks.load(name, seed=0, **w) for w in ({}, {'source': root}))
  for one, two in zip(found.test, expected.test, strict=True):
    assert (one.source, one.targets) == (two.source, two.targets)
    assert one.answer_spans == two.answer_spans
  assert sizes(found) == sizes(expected)


@pytest.mark.parametrize('name', HUB)
def test_offline_the_error_says_which_file_to_put_where(name, offline):
  """One sentence has the hub's id, the official files and the flags."""
  with pytest.raises(InputError, match='on the hub: ') as error:
    tasks.load(name, seed=0)
  official, message = OFFICIAL[name], str(error.value)
  wanted = [official.hub_id, *official.files[0].values()]
  wanted += ['source=DIR', 'train=FILE', '--config.task.source=DIR']
  assert all(word in message for word in wanted)


def test_a_script_is_not_run(tmp_path, monkeypatch, offline):
  """A data set that is a script is refused, and the error says why."""
  folder = lines(tmp_path / 'nq' / 'nq.py', 'raise SystemExit("it ran")').parent
  near = closed_book.NQ_OPEN._replace(hub_id=str(folder))
  monkeypatch.setattr(closed_book, 'NQ_OPEN', near)
  with pytest.raises(InputError, match='it is a script, and no script is ever run'):
    tasks.load('nq_open', seed=0)


def test_official_files_in_a_directory(tmp_path):
  """They are found at any depth, plain or .gz; all of a set must be there."""
  folder = tmp_path / 'nq' / 'v1'
  rows = [{'question': f'q{i}', 'answer': ['x']} for i in range(10)]
  lines(folder / 'NQ-open.train.jsonl.gz', *rows)
  with pytest.raises(InputError, match=r'NQ-open\.train\.jsonl\.gz, but no NQ-o'):
    tasks.load('nq_open', seed=0, source=tmp_path)
  dev = lines(folder / 'NQ-open.dev.jsonl', *rows)
  task = tasks.load('nq_open', seed=0, source=tmp_path)
  assert sizes(task) == [9, 1, 10]
  with pytest.raises(InputError, match=r'does not hold trivia_qa\. Put unfiltere'):
    tasks.load('trivia_qa', seed=0, source=tmp_path)
  with pytest.raises(InputError, match='files or a directory, got train=a and sour'):
    tasks.load('nq_open', seed=0, train='a', source=tmp_path)
  with pytest.raises(InputError, match="'nq_open' needs train=FILE"):
    tasks.load('nq_open', seed=0, test=dev)


def test_several_files_of_a_split(tmp_path):
  """A pattern names shards; an id that two of them have is a problem of the second."""
  for i in range(3):
    ids = ['same', *(f'{i}-{j}' for j in range(3))]
    rows = [{'document': f'about {x}', 'summary': 's', 'id': x} for x in ids]
    (tmp_path / f'xsum.{i}.json').write_text(json.dumps(rows))
  task = tasks.load('xsum', seed=0, train=tmp_path / 'xsum.*.json', train_share=0.5)
  assert sum(sizes(task)) == 10
  with pytest.raises(InputError, match=r'none\.\*\.json cannot be read'):
    tasks.load('xsum', seed=0, train=tmp_path / 'none.*.json')


def test_equal_questions_stay_together(tmp_path):
  """What is cut off training shares no question with it, and depends on the seed."""
  rows = [{'question': f'q{i % 10}', 'answer': [f'a{i}']} for i in range(40)]
  path = lines(tmp_path / 'train.jsonl', *rows)
  shares = {'train_share': 0.5, 'validation_share': 0.2}
  task = tasks.load('nq_open', seed=0, train=path, **shares)
  asked = disjoint(task, 'source')
  assert [len(questions) for questions in asked] == [5, 2, 3]
  other = tasks.load('nq_open', seed=1, train=path, **shares)
  assert {e.source for e in other.validation} != asked[1]


def test_problems_are_counted(tmp_path, caplog):
  """The first few problems of a file are logged, and the number of all."""
  rows = [{'question': f'q{i}', 'answer': ['x'] if i % 2 else []} for i in range(40)]
  path = lines(tmp_path / 'train.jsonl', *rows)
  with caplog.at_level(logging.WARNING):
    tasks.load('nq_open', seed=0, train=path)
  assert len(caplog.messages) == splits.SHOWN + 1
  assert caplog.messages[0] == f"{path}:1: 'answer' has no answer."
  assert caplog.messages[-1] == f'{path}: skipped 20 records in all.'


def test_the_manifest_agrees():
  """third_party/datasets.toml has what the package has, and what is known besides."""
  manifest = tomllib.loads((ROOT / 'third_party' / 'datasets.toml').read_text('utf-8'))
  assert {entry['name'] for entry in manifest['benchmark']} == set(OFFICIAL)
  for entry in manifest['benchmark']:
    official = OFFICIAL[entry['name']]
    for key in ('hub_id', 'config', 'revision'):
      assert entry[key] == getattr(official, key)
    assert entry.get('pattern', '') == official.pattern
    assert tuple(entry['files']) == official.files
    assert entry['licence']
    assert entry['citation']


def test_unknown_names_are_refused():
  """A wrong task and a wrong option name the nearest right ones."""
  with pytest.raises(InputError, match="did you mean 'nq_open'"):
    tasks.load('nqopen', seed=0)
  with pytest.raises(InputError, match="option of task 'wow' 'windw'; did you mean"):
    tasks.load('wow', seed=0, windw=3)
  with pytest.raises(InputError, match="Unknown option of task 'civics' 'source'"):
    tasks.load('civics', seed=0, source='x')


def test_what_has_no_answer_can_be_asked():
  """A question without targets is encoded with an empty one."""
  tokenizer = text.train_tokenizer(['who is it'] * 9, 300, 'bart')
  examples = [Example('a', 'who', ()), Example('b', 'who is it', ('it',))]
  encoded = data.encode_examples(examples, tokenizer)
  assert encoded.source_valid.sum(1).tolist() == [3, 5]
  assert encoded.weight.sum(1).tolist() == [2, 3]


def config(**fields):
  """The smoke config with other fields of config.task."""
  c = world.get_config('smoke')
  c.task.update(fields)
  c.policy.names = 'random'
  return c


def test_a_study_of_published_tasks(tmp_path):
  """Fields of config.task reach a task; {task} is its name; options are its own."""
  for name in ('zsre', 'ropes'):
    snapshot(tmp_path / name, name)
  c = config(names='zsre,ropes', source=str(tmp_path / '{task}'), validation_share=0.3)
  c.task.options = config_dict.create(zsre={'templates': True, 'validation_share': 0.1})
  found = study.Study(c, tmp_path / 'work').tasks
  zsre, ropes = found['zsre', 0], found['ropes', 0]
  assert {e.source for e in zsre.train} == {'Who is Ada?'}
  assert (sizes(zsre), sizes(ropes)) == ([9, 1, 10], [7, 3, 10])
  c.task.options = config_dict.create(ropes={'window': 3})
  with pytest.raises(InputError, match="Unknown option of task 'ropes' 'window'"):
    study.Study(c, tmp_path / 'work')


def test_a_study_needs_answers(tmp_path, shared_data):
  """A test without answers is for predictions: a study would score it with zeros."""
  folder = shared_data / 'kilt'
  names = {'train': 'train', 'validation': 'dev', 'test': 'test_without_answers'}
  where = {s: str(folder / f'nq-{name}-kilt.jsonl') for s, name in names.items()}
  task = tasks.load('kilt', seed=0, **where)
  assert sizes(task) == [5, 5, 5]
  assert task.metric == 'em'
  with pytest.raises(InputError, match='5 of kilt have no answers, the first is '):
    study.Study(config(names='kilt', **where), tmp_path)
  with pytest.raises(InputError, match='only a test question may have none'):
    tasks.load('kilt', seed=0, train=where['test'])


def test_a_study_whose_questions_name_no_group(tmp_path):
  """The mask viewer then has passages from all of the corpus."""
  passages = [Passage(f'p{i}', 'who is it') for i in range(9)]
  tokenizer = text.train_tokenizer(['who is it'] * 9, 300, 'bart')
  examples = (Example('a', 'who', ('it',)),)
  task, path = Task('t', examples, examples, examples), tmp_path / 'masks.jsonl'
  setup = types.SimpleNamespace(passages=passages, tokenizer=tokenizer)
  encoded = data.encode_passages(passages, tokenizer)
  mask_rows.write_masks(path, task, setup, encoded, {}, seed=0, draws=9, workers=1)
  shown = files.read_jsonl(path)
  assert [row['id'] for row in shown] == ['p0', 'p2', 'p4', 'p6']


def test_options_of_a_published_task():
  """Its own, and those of `Where`."""
  assert tasks.options('wow') == ('window', *benchmark.Where.__annotations__)
