"""Passages joined with questions, stacked, and the scales of the questions."""

import jax
import numpy as np
import pytest

from masklearn import data, meta, text
from masklearn.io.progress import Progress
from masklearn.meta import episodes
from masklearn.study import scales
from masklearn.training.context import StageContext
from masklearn.types import Example, InputError, Passage

PASSAGES = [
  Passage('a', 'Oslo is in Norway. They pay kroner.', 'Norway', ()),
  Passage('b', 'Lima is it.', 'Peru', ()),
  Passage('c', 'Norway pays kroner.', 'Norway', ()),
  Passage('d', 'Chile pays.', 'Chile', ()),
]
EXAMPLES = [
  Example('n1', 'Which money?', ('kroner',), 'Norway'),
  Example('c1', 'Where?', ('Chile',), 'Chile'),
  Example('n2', 'The capital?', ('Oslo',), 'Norway'),
  Example('x', 'Who?', ('nobody',), 'Atlantis'),
]


def make_episodes(held_out=False):
  """Three episodes of two questions each."""
  tokenizer = text.train_tokenizer([p.text for p in PASSAGES], 290)
  passages = data.encode_passages(PASSAGES, tokenizer, 'corpus', frozenset())
  how = {'beside': EXAMPLES, 'questions': 2, 'held_out': held_out, 'seed': 0}
  return episodes.Episodes(PASSAGES, passages, EXAMPLES, tokenizer, **how)


def test_passages_are_joined_with_questions_of_their_group():
  """Too few are repeated; passages that nobody asks about are left out."""
  rows, asked = episodes.join(PASSAGES, EXAMPLES, 3, 0)
  assert rows.tolist() == [0, 2, 3]
  assert [set(questions) for questions in asked.tolist()] == [{0, 2}, {0, 2}, {1}]
  assert asked.shape == (3, 3)
  with pytest.raises(InputError, match='group'):
    episodes.join(PASSAGES[1:2], EXAMPLES, 3, 0)
  with pytest.raises(InputError, match='group'):  # neither says what it is about
    episodes.join([Passage('e', 'Peru.')], [Example('y', 'Who?', ('he',))], 3, 0)


@pytest.mark.parametrize('held_out', [False, True])
def test_a_stack_holds_passages_and_their_questions(held_out):
  """Tuned on the same questions, or on those of the next episode of the stack."""
  made = make_episodes(held_out)
  stack = made.stack(np.array([2, 0]))
  found = stack.passages.tokens[:, 0, 0]
  np.testing.assert_array_equal(found, made.passages.tokens[[3, 0]])
  for e, row in enumerate((2, 0)):
    expected = made.questions.target[made.asked[row]]
    np.testing.assert_array_equal(stack.query.target[e, :, 0], expected)
    e = 1 - e if held_out else e
    np.testing.assert_array_equal(stack.support.target[e, :, 0], expected)
  assert stack.scale.shape == (2, 2)


def test_a_unit_is_the_mean_size_over_a_question_s_episodes():
  """Each question has its own; what moves nothing, or is never asked, has one."""
  made = make_episodes()
  seen = []

  def probe(stack, keys):
    seen.append(jax.random.key_data(keys))
    words = np.asarray(stack.passages.valid)[:, 0].sum(-1)  # [E, 1] tokens
    size = np.where(words == lengths[2], 0.0, words) * np.ones(stack.scale.shape)
    # Of three spans that raise the loss or lower it.
    influence = size[:, :, None, None, None] * np.array([[[[[2.0, -1.0, 0.0]]]]])
    return meta.Probed(None, None, influence, None)

  lengths = made.passages.valid.sum(-1)[made.rows]
  assert len(set(lengths)) == 3
  made.measure_scales(probe, np.array([[0, 1], [2, 0]]), jax.random.key(0))
  assert len(np.unique(np.concatenate(seen), axis=0)) == 4
  # The first passage starts over in the last stack, and counts twice.
  mean = (2 * lengths[0] + lengths[1]) / 3
  np.testing.assert_allclose(made.scales, [mean, 1, mean, 1], rtol=1e-6)
  np.testing.assert_array_equal(made.stack(np.array([1])).scale[0], made.scales[[0, 2]])


def test_scales_are_measured_once_and_go_on_where_they_were(tmp_path):
  """Of the episodes that are used; asked to stop, what was measured is kept."""
  asked = []

  def probe(stack, keys):
    asked.append(jax.random.key_data(keys))
    return meta.Probed(None, None, np.ones((*stack.scale.shape, 1, 1, 3)), None)

  def measure(folder, progress, *used):
    made = make_episodes()
    context = StageContext(tmp_path / folder, 'test', progress, 4, seed=0)
    scales.measure(made, used, probe, 1, jax.random.key(0), context)
    return made.scales

  whole = measure('whole', Progress(), np.array([2, 0]), np.array([0]))
  assert len(asked) == 2  # of three episodes
  stopped = Progress()
  stopped.stop.set()
  with pytest.raises(KeyboardInterrupt):
    measure('cut', stopped, np.array([2, 0]))
  assert len(asked) == 3
  np.testing.assert_array_equal(measure('cut', Progress(), np.array([2, 0])), whole)
  measure('cut', Progress(), np.array([2, 0]))
  assert len(asked) == 4
  file = tmp_path / 'cut' / 'scales.json'
  for old, new in (
    ('"done": 2', '"done": 9'),
    ('"sums": [', '"sums": [0, '),
    ('{', '['),
  ):
    file.write_text(
      (tmp_path / 'whole' / 'scales.json').read_text().replace(old, new, 1)
    )
    with pytest.raises(InputError, match=r'scales.json .*Remove .* to make it again'):
      measure('cut', Progress(), np.array([2, 0]))
  np.testing.assert_array_equal(np.concatenate(asked[2:]), np.concatenate(asked[:2]))
