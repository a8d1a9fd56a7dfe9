"""What a user adds, in the way that the README says, works everywhere."""

import jax
import jax.numpy as jnp
import optax
import pytest

from configs import world
from experiments import mask as mask_experiment
from experiments import study as experiment
from masklearn import data, tasks
from masklearn.io import files
from masklearn.meta import estimators, relaxations
from masklearn.policies import ENCODERS, POLICIES, Entry, heuristic, sampling
from masklearn.study.config import check
from masklearn.types import Example, InputError, Passage, Task
from tests.runs import command
from tests.small import IDS, make_batch
from tests.test_study import SMALL


def long_words(rate):
  """The policy of the README: a word of more tokens is likelier to be hidden."""

  def scores(theta, batch):
    first = sampling.token_of_word(batch)
    last = sampling.token_of_word(batch, last=True)
    return (last - first)[..., None].astype(jnp.float32)

  return heuristic.from_scores(scores, rate)


def test_a_policy_of_ones_own(tmp_path, monkeypatch, capsys):
  """A function and a line: a study trains with it, the report shows it, texts too."""
  monkeypatch.setitem(POLICIES, 'long_words', Entry(long_words, 'long words'))
  flags = (*SMALL, '--config.policy.names=none,long_words')
  workdir = tmp_path / 'run'
  assert command(experiment.main, *flags, f'--workdir={workdir}') == 0
  rows = files.read_jsonl(workdir / 'results.jsonl')
  assert {row['policy'] for row in rows} == {'none', 'long_words'}
  assert all(row['masked_words'] > 0 for row in rows if row['policy'] == 'long_words')
  page = (workdir / 'report' / 'index.html').read_text(encoding='utf-8')
  assert 'long words' in page
  (tmp_path / 'docs.txt').write_text('Oslo is in Norway.\n', encoding='utf-8')
  masks = tmp_path / 'masks.jsonl'
  io = f'--input={tmp_path / "docs.txt"}', f'--output={masks}'
  assert command(mask_experiment.main, '--policy=long_words', *io) == 0
  (line,) = files.read_jsonl(masks)
  assert len(line['spans']) == 1


def test_an_entry_says_what_its_policy_needs():
  """A need or a role that does not exist is refused."""
  with pytest.raises(ValueError, match="got 'magic'"):
    Entry(long_words, 'long words', needs=('magic',))
  with pytest.raises(ValueError, match="got 'hero'"):
    Entry(long_words, 'long words', role='hero')
  with pytest.raises(ValueError, match="updates or compute, got 'time'"):
    Entry(long_words, 'long words', equal='time')
  with pytest.raises(ValueError, match=r"'score' after .* got trained_by='score'"):
    Entry(long_words, 'long words', trained_by='score')
  with pytest.raises(ValueError, match='hides nothing'):
    POLICIES['none'](0.1)


@pytest.mark.parametrize('name', [n for n, e in POLICIES.items() if e.make])
def test_every_entry_tells_how_long_its_targets_get(name):
  """Of passages of four and of eight tokens: a hidden token and an end at least."""
  batch = make_batch([[1, 2, 1], [3, 1, 1, 1, 2]])
  lengths = POLICIES[name].longest_targets(batch, 0.3, IDS)
  assert lengths.shape == (2,)
  assert (lengths >= 3).all()


def capitals(seed, train_share=0.5):
  """A task of one's own: a question in each split."""
  del seed, train_share
  rows = [Example(n, f'Capital of {n}?', ('Oslo',), group=n) for n in 'abc']
  return Task('capitals', *((row,) for row in rows))


def notes(seed):
  """A corpus of one's own."""
  del seed
  return [Passage('n', 'Oslo is in Norway.', 'a')], []


def test_a_task_and_a_corpus_of_ones_own(monkeypatch):
  """A function and a line each; a config may name them, and they are read."""
  config = world.get_config('smoke')
  config.task.names, config.corpus.name = 'capitals', 'notes'
  with pytest.raises(InputError, match='notes'):
    check(config)
  monkeypatch.setitem(tasks.TASKS, 'capitals', capitals)
  monkeypatch.setitem(data.CORPORA, 'notes', notes)
  check(config)
  assert tasks.for_study('capitals', 0, config.task).test[0].id == 'c'
  assert data.load_documents('notes', 0)[0][0].group == 'a'


def bag(tokens, valid, config):
  """An encoder of one's own: the token's number, and nothing around it."""
  del valid
  return jnp.repeat(tokens[..., None].astype(jnp.float32), config.width, axis=2)


def test_an_encoder_and_a_relaxation_of_ones_own(monkeypatch):
  """A function and a line each; both are made by their names."""
  config = world.get_config('smoke')
  config.policy.encoder, config.learn.relaxation = 'bag', 'softer'
  with pytest.raises(InputError, match='bag'):
    check(config)
  monkeypatch.setitem(ENCODERS, 'bag', bag)
  monkeypatch.setitem(estimators.RELAXATIONS, 'softer', relaxations.soft)
  check(config)
  policy = POLICIES['learned'](0.3, vocab_size=40, width=4, encoder='bag')
  batch = make_batch([[1, 2, 1], [3, 1, 1, 1, 2]])
  theta = policy.init(jax.random.key(0))
  assert policy.scores(theta, batch).shape == (2, 8, 4)
  made = estimators.make_estimator(
    estimators.Estimator('softer'), policy, None, optax.sgd(0.1), IDS, 0.3
  )
  draw = made.sample(theta, jax.tree.map(lambda x: x[None], batch), jax.random.key(0))
  assert draw.gumbel.shape[-1] == 4
