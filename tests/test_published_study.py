"""A study that begins with a published model, and supervises a policy."""

import json
import re

import numpy as np
import pytest

from experiments import study
from masklearn import policies
from masklearn.io import files
from masklearn.models import pretrained
from masklearn.tasks import people
from tests.runs import command
from tests.test_pretrained import write_hf

pytestmark = pytest.mark.slow  # whole studies

SMALL = (
  '--config=configs/world.py:smoke',
  '--config.corpus.name=people',
  '--config.corpus.size=12',
  '--config.corpus.longest=250',
  '--config.task.names=habits',
  '--config.task.size=12',
  '--config.policy.names=none,random,random_span,supervised',
  '--config.policy.reference=supervised',
  '--config.model.encoder_ffn=256',
  '--config.model.decoder_layers=2',
)


@pytest.fixture(scope='module')
def published(tmp_path_factory):
  """A directory of a tiny model with its tokenizer."""
  folder = tmp_path_factory.mktemp('published')
  write_hf(folder / 'theirs', 'bart')
  pretrained.from_hf(folder / 'theirs', folder / 'ours')
  return folder / 'ours'


def run(capsys, *more):
  """Runs a study; its exit code and what it said."""
  return command(study.main, *SMALL, *more), capsys.readouterr()


def squad(path, passages):
  """Writes passages in SQuAD's format, with a question about the first span of each."""
  articles = []
  for passage in passages:
    start, end, _ = passage.spans[0]
    answer = {'text': passage.text[start:end], 'answer_start': start}
    asked = {'id': passage.id, 'question': 'What?', 'answers': [answer]}
    paragraph = {'context': passage.text, 'qas': [asked]}
    articles.append({'title': passage.group, 'paragraphs': [paragraph]})
  path.write_text(json.dumps({'version': '1.1', 'data': articles}), encoding='utf-8')
  return path


def test_answers_teach_a_policy_of_a_published_model(published, tmp_path, capsys):
  """From answers in the corpus and in a file; the report shows what is hidden."""
  questions = squad(tmp_path / 'squad.json', people.passages(3, size=12, copies=1))
  others = squad(tmp_path / 'others.json', people.passages(4, size=5, copies=1))
  workdir = tmp_path / 'run'
  code, said = run(
    capsys,
    f'--workdir={workdir}',
    f'--config.model.checkpoint={published}',
    '--config.base.updates=0',
    f'--config.supervised.pairs=match,{questions}',
    f'--config.recall.path={questions},{others}',
    '--config.recall.draws=1',
  )
  assert code == 0, said.err
  assert not (workdir / 'base').exists()
  rows = files.read_jsonl(workdir / 'results.jsonl')
  tasks = {row['policy']: row['policy_task'] for row in rows}
  own = {'random_span': 'habits', 'supervised': 'habits'}
  assert tasks == {'none': None, 'random': None} | own
  for row in rows:
    assert list(row['trials']) == [f'{row["learning_rate"]:g}']
    assert (row['learning_seconds'] > 0) == bool(row['policy_task'])
  words = [r['masked_words'] for r in rows if r['policy'] != 'none']
  assert max(words) == min(words)
  hidden = files.read_jsonl(workdir / 'recall.jsonl')
  assert {row['policy'] for row in hidden} == {'random', 'random_span', 'supervised'}
  # Of what it has learned from, the part that was kept; of what it has not, all.
  counts = {('squad.json', 2), ('others.json', 5)}
  assert {(row['file'], row['n']) for row in hidden} == counts
  assert len({(row['file'], row['words'], row['spans']) for row in hidden}) == 2
  page = (workdir / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'Answers hidden' in page
  assert re.search('clearly above all others|is above all others', page)
  policy = policies.load_policy(workdir / 'policies' / 'supervised-habits' / '0')
  assert policy.spec['top_k'] == 5
  assert np.isfinite(policy.theta['span']['kernel']).all()


def test_what_cannot_be_trained_is_said(published, tmp_path, capsys):
  """Before anything is trained; the rest of a study is run without it."""
  code, said = run(capsys, f'--workdir={tmp_path / "a"}', '--config.base.updates=0')
  assert code == 2
  assert 'config.model.checkpoint' in said.err
  single = squad(tmp_path / 'one.json', people.passages(3, size=1, copies=1))
  code, said = run(
    capsys,
    f'--workdir={tmp_path / "b"}',
    f'--config.model.checkpoint={published}',
    '--config.base.updates=0',
    f'--config.supervised.pairs={single}',
  )
  assert code == 0
  assert 'left out: supervised for habits, seed 0' in said.err
  assert 'has 1 to train on and 0 to validate with' in said.err
  (record,) = files.read_object(tmp_path / 'b' / 'study.json')['impossible'][:1]
  assert 'has 1 to train on' in record['reason']
