"""Passages joined with questions, stacked, and the scales of the questions."""

import jax
import numpy as np
import pytest

from masklearn import data, meta, text
from masklearn.io.progress import Progress
from masklearn.meta import contexts, episodes
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
  rows, asked, more, by_context = episodes.join(PASSAGES, EXAMPLES, 3, 0)
  assert (more, by_context) == ([], 0)
  assert rows.tolist() == [0, 2, 3]
  assert [set(questions) for questions in asked.tolist()] == [{0, 2}, {0, 2}, {1}]
  assert asked.shape == (3, 3)
  with pytest.raises(InputError, match='group'):
    episodes.join(PASSAGES[1:2], EXAMPLES, 3, 0)
  with pytest.raises(InputError, match='group'):  # neither says what it is about
    episodes.join([Passage('e', 'Peru.')], [Example('y', 'Who?', ('he',))], 3, 0)


CONTEXTS = [
  # A passage contains it, but for white space; another question of it has no group.
  Example('n1', 'Which money?', ('kroner',), 'Norway', context='They pay  kroner.'),
  Example('y', 'Who pays?', ('they',), context='They pay kroner. '),
  # It contains a passage of its group, and one of another.
  Example('c1', 'Where?', ('Chile',), 'Chile', context='So Chile pays. Lima is it.'),
  EXAMPLES[2],  # without a context, of a group
  # A passage of no group of the corpus, and of none at all.
  Example('x', 'Who?', ('nobody',), 'Atlantis', context='Nobody lives here.'),
  Example('z', 'What?', ('rain',), context='It rains. We like it.'),
]


def test_questions_are_joined_with_the_passages_of_their_context():
  """Those with it or within it, else the context itself; others go by their group."""
  rows, asked, more, by_context = episodes.join(PASSAGES, CONTEXTS, 3, 0)
  assert [p.text for p in more] == ['Nobody lives here.', 'It rains. We like it.']
  assert [p.group for p in more] == ['Atlantis', '']
  assert rows.tolist() == [0, 2, 3, 4, 5]
  found = [set(questions) for questions in asked.tolist()]
  assert found == [{0, 1, 3}, {3}, {2}, {4}, {5}]
  assert by_context == 4


def test_contexts_without_a_group_are_looked_for_everywhere():
  """Whole, or where they contain a passage that is no mere title."""
  passages = [
    Passage('a', 'Oslo'),
    Passage('b', 'In Oslo they all pay kroner.', 'x'),
    Passage('c', 'They sleep. Then in Oslo they rest.'),
  ]
  asked = ['in Oslo', 'So: In Oslo  they all pay kroner. Oslo', 'They sleep at night.']
  assert contexts.meet(passages, [('', one) for one in asked]) == [[2], [1], []]
  # A group that no passage has is as good as none, and one that some have is kept to.
  groups = [('y', asked[0]), ('x', asked[0]), ('x', asked[1])]
  assert contexts.meet(passages, groups) == [[2], [], [1]]


def test_contexts_that_are_no_passage_stand_behind_the_corpus():
  """Encoded as wide as the corpus; one that is too long is several."""
  long = ' '.join(f'They pay kroner number {i}.' for i in range(9))
  examples = [*CONTEXTS, Example('l', 'How many?', ('9',), context=long)]
  tokenizer = text.train_tokenizer([p.text for p in PASSAGES] + [long], 290)
  passages = data.encode_passages(PASSAGES, tokenizer, 'corpus', frozenset())
  how = {'beside': examples, 'questions': 2, 'held_out': False, 'seed': 0}
  made = episodes.Episodes(PASSAGES, passages, examples, tokenizer, **how)
  corpus, more = made.batches
  assert corpus is passages
  assert more.tokens.shape[1] == passages.tokens.shape[1]
  of_long = [e for e, asked in enumerate(made.asked) if 6 in asked]
  assert len(of_long) > 1
  assert made.added == len(more.tokens) == len(made) - len(PASSAGES) + 1
  assert str(made) == (
    f'{2 + made.added} episodes from contexts ({made.added} of them no passage of '
    'the corpus), 1 from groups'
  )
  stack = made.stack(np.array([3, 0, of_long[0]]))
  rows = stack.passages.tokens[:, 0, 0], stack.passages.valid[:, 0, 0]
  found = [tokenizer.decode(t[v].tolist()) for t, v in zip(*rows, strict=True)]
  assert found[:2] == ['Nobody lives here.', PASSAGES[0].text]
  assert long.startswith(found[2])
  assert set(made.asked[of_long].ravel()) == {6}
  asked = made.questions.target[made.asked[of_long[0]]]
  np.testing.assert_array_equal(stack.query.target[2, :, 0], asked)


@pytest.mark.parametrize('held_out', [False, True])
def test_a_stack_holds_passages_and_their_questions(held_out):
  """Tuned on the same questions, or on those of the next episode of the stack."""
  made = make_episodes(held_out)
  stack = made.stack(np.array([2, 0]))
  found = stack.passages.tokens[:, 0, 0]
  np.testing.assert_array_equal(found, made.batches[0].tokens[[3, 0]])
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

  lengths = made.batches[0].valid.sum(-1)[made.rows]
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
