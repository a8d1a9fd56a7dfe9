"""What the stages of a study train on: own passages, unrelated ones, or both."""

import numpy as np
import pytest
from ml_collections import config_dict

from configs import world
from masklearn.io import files
from masklearn.study import corpora, run_study
from masklearn.study.corpora import Corpora
from masklearn.study.parts import Parts
from masklearn.types import Example, InputError, Passage, Task
from tests.kills import results
from tests.small import IDS, make_batch

PASSAGES = [Passage(str(i), 'x', group) for i, group in enumerate('aba')]
TASK = Task('t', (Example('1', 'who?', ('x',), 'b'),), (), ())
OWN = make_batch([[1, 2], [1], [2]])
OTHER = make_batch([[2, 4], [1]])
OTHER = OTHER._replace(tokens=OTHER.tokens + 50 * OTHER.valid)


def tokens(batch):
  """The tokens of each passage, without padding."""
  rows = zip(np.asarray(batch.tokens), np.asarray(batch.valid), strict=True)
  return [row[valid].tolist() for row, valid in rows]


@pytest.mark.parametrize(
  ('apart', 'other', 'base', 'found'),
  [
    (False, False, [0, 1, 2], {'own': [0, 1, 2]}),
    (False, True, [0, 1, 2], {'own': [0, 1, 2], 'unrelated': [], 'mixed': [0, 1, 2]}),
    (True, True, [0, 2], {'own': [1], 'unrelated': [], 'mixed': [1]}),
    (True, False, [0, 2], {'own': [1], 'unrelated': [0, 2], 'mixed': [0, 1, 2]}),
  ],
)
def test_each_setting_trains_on_its_passages(apart, other, base, found):
  """Of the study's corpus those that are listed, and all of another corpus.

  Where these are none of the base model's, forgetting is measured on those.
  """
  parts = Parts(PASSAGES, [TASK]) if apart else None
  made = Corpora({'t': OWN}, parts, {'t': OTHER} if other else None, IDS.pad)
  own = tokens(OWN)
  assert tokens(made.base('t')) == [own[i] for i in base]
  for name, rows in found.items():
    others = tokens(OTHER) if other and name != 'own' else []
    assert tokens(made.pretraining('t', name)) == [own[i] for i in rows] + others
    kept = made.kept('t', [name])
    assert (kept is None) == bool(set(base) & set(rows))
    assert kept is None or tokens(kept) == tokens(made.base('t'))
  some = any(not set(base) & set(rows) for rows in found.values())
  assert (made.kept('t', list(found)) is not None) == some


@pytest.mark.parametrize('swapped', [False, True])
def test_joined_passages_are_padded_to_the_longer(swapped):
  """Every field; what only one side has, such as collocations, is left out."""
  pair = (OTHER, OWN) if swapped else (OWN, OTHER)
  found = corpora.joined(*pair, IDS.pad)
  assert found.tokens.shape == found.word.shape == (5, 6)
  assert (found.tokens[~found.valid] == IDS.pad).all()
  assert found.valid.dtype == bool
  assert tokens(found) == tokens(pair[0]) + tokens(pair[1])
  assert not found.asked.any()
  assert found.collocation.shape == (5, 6)
  without = pair[0]._replace(collocation=None)
  assert corpora.joined(without, pair[1], IDS.pad).collocation is None


def small(**changes):
  """A study of invented people, of seconds, with others to pre-train on."""
  c = world.get_config('smoke')
  c.corpus.update(name='people', size=12, vocabulary=300, longest=250)
  c.task.update(names='habits', size=12)
  c.policy.names = 'none,random'
  c.study.update(exposures=(0.5,), corpora='unrelated,mixed')
  c.study.unrelated = config_dict.create(**changes)
  return c


def test_a_study_has_a_row_for_each_setting(tmp_path):
  """Equal updates on all corpora, and as many as the exposures ask for."""
  workdir = tmp_path / 'run'
  run_study(small(first=100, size=9), workdir)
  folders = workdir / 'corpus', workdir / 'corpus' / 'unrelated'
  passages = [files.read_jsonl(folder / 'passages.jsonl') for folder in folders]
  own, other = map(len, passages)
  longer = -(-own // 4)  # half a sample of each, two at a time
  found = [r for r in results(workdir) if r['split'] == 'test']
  keys = 'policy', 'setting', 'corpus', 'updates', 'exposures'
  assert [tuple(map(r.get, keys)) for r in found] == [
    ('none', '', 'own', 0, 0.0),
    ('random', '', 'own', 2, 4 / own),
    ('random', 'x0.5', 'own', longer, 2 * longer / own),
    ('random', 'unrelated', 'unrelated', 2, 4 / other),
    ('random', 'mixed', 'mixed', 2, 4 / (own + other)),
  ]
  assert {path.parent.name for path in (workdir / 'pretrain').glob('*/0')} == {
    'random-spans', 'random-spans-x0.5', 'random-spans-unrelated', 'random-spans-mixed',
  }  # fmt: skip
  assert len({passage['group'] for passage in passages[1]}) == 9
  # The base model has seen the study's own passages, as all others have but one.
  kept = {(r['policy'], r['setting']): r.get('kept_loss') for r in found}
  assert {name for name, loss in kept.items() if loss is not None} == {
    ('none', ''), ('random', 'unrelated'),
  }  # fmt: skip
  forgotten = kept['random', 'unrelated'] - kept['none', '']
  assert found[3]['forgotten'] == pytest.approx(forgotten, abs=1e-6)
  assert found[0]['forgotten'] == 0


def test_passages_that_a_task_asks_about_are_not_unrelated(tmp_path):
  """It is said how many there are, before anything is trained."""
  with pytest.raises(InputError, match=r'study\.unrelated: .* and 3 of its'):
    run_study(small(first=9), tmp_path / 'run')
  assert not (tmp_path / 'run' / 'base').exists()
