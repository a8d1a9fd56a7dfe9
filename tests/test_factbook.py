"""The study of real facts, end to end on the source data, in seconds."""

import gzip
import itertools
import re

import numpy as np
import pytest

from configs import factbook
from experiments import app, study
from masklearn import tasks, text
from masklearn.data import Store
from masklearn.io import files
from masklearn.study import supervise

pytestmark = pytest.mark.slow  # whole studies

NAMES = 'none', 'salient', 'same_sentences_random', 'supervised'
PAIRS = 'squad_like/new_wiki_40articles.json.gz'


def half_of(path, folder):
  """A file with every second line of another, which may be compressed."""
  opened = gzip.open if path.suffix == '.gz' else open
  with opened(path, 'rt', encoding='utf-8') as lines:
    kept = itertools.islice(lines, 0, None, 2)
    made = folder / path.name.removesuffix('.gz')
    made.write_text(''.join(kept), encoding='utf-8')
  return made


def flags(data, folder):
  """What the command line says of the data, of which half is enough."""
  facts = data / 'facts'
  recall = f'{data / PAIRS},{data / "qed" / "qed-dev.first1000.jsonl.gz"}'
  return {
    'corpus.path': half_of(data / 'corpora' / 'factbook_profiles.jsonl.gz', folder),
    'task.options.kilt.train': half_of(facts / 'factbook_slots.jsonl.gz', folder),
    'task.options.web_questions.train': facts / 'webquestions_in_factbook.jsonl',
    'supervised.pairs': f'task,{data / PAIRS}',
    'recall.path': recall,
    'recall.draws': 1,
    'policy.names': ','.join(NAMES),
  }


@pytest.fixture(scope='module')
def workdir(shared_data, tmp_path_factory):
  """A finished study of the smallest variant."""
  made = tmp_path_factory.mktemp('factbook') / 'run'
  argv = ['study', '--config=configs/factbook.py:smoke', f'--workdir={made}']
  given = flags(shared_data, made.parent)
  argv += [f'--config.{key}={value}' for key, value in given.items()]
  with pytest.raises(SystemExit) as end:
    app.run(study.main, argv)
  assert end.value.code == 0
  return made


def test_every_policy_is_scored_on_both_tasks(workdir):
  """With equal budgets; a policy with parameters belongs to its task."""
  rows = files.read_jsonl(workdir / 'results.jsonl')
  assert set(NAMES) < set(factbook.get_config().policy.names.split(','))
  own = {'supervised', 'same_sentences_random'}
  assert {(r['task'], r['policy'], r['policy_task']) for r in rows} == {
    (task, policy, task if policy in own else None)
    for task in ('kilt', 'web_questions')
    for policy in NAMES
  }
  words = [r['masked_words'] for r in rows if r['policy'] != 'none']
  assert max(words) <= 1.05 * min(words)  # one word of 36
  page = (workdir / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'new_wiki_40articles.json.gz' in page
  assert 'qed-dev.first1000.jsonl.gz' in page


def test_masks_are_shown_where_answers_stand(workdir):
  """Of each split, with the answer's place; where there is none, any passage."""
  masks = files.read_jsonl(workdir / 'masks.jsonl')
  assert {mask['split'] for mask in masks} == {'train', 'validation', 'test'}
  assert np.mean([bool(mask['asked']) for mask in masks]) > 0.7
  for mask in masks:
    for start, end, _ in mask['asked']:
      assert mask['text'][start:end].strip(), mask['id']


def test_no_answer_of_a_test_country_teaches_a_policy(workdir, shared_data, tmp_path):
  """Of both tasks, with gold passages and without; and of no article kept for tests."""
  c = factbook.get_config('smoke')
  given = flags(shared_data, tmp_path)
  data = {key: str(value) for key, value in given.items() if 'task' in key}
  with c.unlocked():
    c.update_from_flattened_dict(data)
  passages = Store(workdir / 'corpus' / 'passages')
  tokenizer = text.load_tokenizer(workdir / 'corpus' / 'tokenizer.json')
  kept = supervise.of_file(shared_data / PAIRS, 0)['test']
  for name in ('kilt', 'web_questions'):
    task = tasks.for_study(name, 0, c.task)
    pairs = f'task,{shared_data / PAIRS}'
    answered = supervise.pairs(pairs, task, passages, tokenizer, 62, 0)
    hidden = {e.group for e in task.test}
    assert len(hidden) > 20
    for batch in (split.passages for split in answered):
      rows = zip(batch.tokens, batch.valid, strict=True)
      texts = [tokenizer.decode(row[valid]) for row, valid in rows]
      assert len(texts) > 100
      # Articles of other data can begin with a country's name, but not as fields do.
      field = re.compile(r'(.+?)\. [A-Z][^.]*: ')
      about = {found[1] for found in map(field.match, texts) if found}
      assert len(about) > 5
      assert not about & hidden
      assert not {row.passage.text for row in kept} & set(texts)
