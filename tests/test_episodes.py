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
GROUPS = [passage.group for passage in PASSAGES]
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
  encoded = data.encode_examples(EXAMPLES, tokenizer)
  joined = episodes.join(PASSAGES, GROUPS, EXAMPLES, 2, 0)
  return episodes.Episodes(joined, passages, encoded, tokenizer, held_out=held_out)


def test_passages_are_joined_with_questions_of_their_group():
  """Too few are repeated; passages that nobody asks about are left out."""
  rows, asked, more, by_context = episodes.join(PASSAGES, GROUPS, EXAMPLES, 3, 0)
  assert (more, by_context) == ([], 0)
  assert rows.tolist() == [0, 2, 3]
  assert [set(questions) for questions in asked.tolist()] == [{0, 2}, {0, 2}, {1}]
  assert asked.shape == (3, 3)
  with pytest.raises(InputError, match='group'):
    episodes.join(PASSAGES[1:2], GROUPS[1:2], EXAMPLES, 3, 0)
  with pytest.raises(InputError, match='group'):  # neither says what it is about
    episodes.join([], [''], [Example('y', 'Who?', ('he',))], 3, 0)


def test_questions_are_joined_at_random_and_none_before_its_turn(monkeypatch):
  """Every question of a group comes once before one is repeated; in parts, too."""
  examples = [Example(str(i), 'Who?', ('he',), 'all') for i in range(3)]
  examples.append(Example('other', 'Who?', ('he',), 'one'))
  groups = ['all', 'none', 'one', *['all'] * 98]
  rows, asked, *_ = episodes.join([], groups, examples, 5, 0)
  assert rows.tolist() == [0, *range(2, 101)]
  assert asked[1].tolist() == [3] * 5
  others = np.delete(asked, 1, axis=0)
  np.testing.assert_array_equal(np.sort(others[:, :3], axis=1), [[0, 1, 2]] * 99)
  orders, counts = np.unique(others[:, :3], axis=0, return_counts=True)
  assert len(orders) == 6  # by chance 16.5 times each
  assert counts.min() > 5
  assert all(len(set(pair)) == 2 for pair in others[:, 3:].tolist())
  monkeypatch.setattr(episodes, 'AT_ONCE', 50)
  asked = episodes.join([], ['all'] * 40, examples, 3, 0).asked
  assert len(np.unique(asked, axis=0)) == 6


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
  rows, asked, more, by_context = episodes.join(PASSAGES, GROUPS, CONTEXTS, 3, 0)
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
  fitting = episodes.fitting(tokenizer, passages.tokens.shape[1])
  joined = episodes.join(PASSAGES, GROUPS, examples, 2, 0, fitting)
  encoded = data.encode_examples(examples, tokenizer)
  made = episodes.Episodes(joined, passages, encoded, tokenizer, held_out=False)
  corpus, more = made.batches
  assert corpus is passages
  assert more.tokens.shape[1] == passages.tokens.shape[1]
  of_long = [e for e, asked in enumerate(made.asked) if 6 in asked]
  assert len(of_long) > 1
  added = len(joined.more)
  assert added == len(more.tokens) == len(made) - len(PASSAGES) + 1
  assert str(joined) == (
    f'{2 + added} episodes from contexts ({added} of them no passage of '
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


def counted(made, asked):
  """A probe that finds the tokens of a passage as the size of its influence."""

  def probe(stack, keys):
    asked.append(jax.random.key_data(keys))
    words = np.asarray(stack.passages.valid)[:, 0].sum(-1)  # [E, 1] tokens
    size = np.where(words == lengths[2], 0.0, words) * np.ones(stack.scale.shape)
    # Of three spans that raise the loss or lower it.
    influence = size[:, :, None, None, None] * np.array([[[[[2.0, -1.0, 0.0]]]]])
    return meta.Probed(None, None, influence, None)

  lengths = made.batches[0].valid.sum(-1)[made.rows]
  assert len(set(lengths)) == 3
  return probe, lengths


def scaled(made, folder, batches, asked, progress=None):
  """The scales of batches of the episodes."""
  progress = progress or Progress()
  context = StageContext(folder, 'test', progress, 4, seed=0)
  probe, _ = counted(made, asked)
  return scales.Scales(made, batches, probe, jax.random.key(0), context)


def test_a_scale_is_the_usual_size_in_the_episodes_used_so_far(tmp_path):
  """What nothing moves, or what was not asked yet, has that of all questions."""
  made, asked = make_episodes(), []
  lengths = counted(made, asked)[1]
  batches = np.array([[0, 2], [2, 0], [1, 0], [0, 1]])
  used = scaled(made, tmp_path, batches, asked)
  first = lengths[0].astype(np.float32)
  np.testing.assert_allclose(used.stack(0).scale, np.full((2, 2), first), rtol=1e-6)
  np.testing.assert_allclose(used.stack(1).scale, np.full((2, 2), first), rtol=1e-6)
  assert len(asked) == 1  # no episode is measured twice
  mean = (lengths[0] + lengths[1]) / 2
  np.testing.assert_allclose(used.stack(2).scale, np.full((2, 2), mean), rtol=1e-6)
  np.testing.assert_allclose(used.stack(3).scale, np.full((2, 2), mean), rtol=1e-6)
  np.testing.assert_allclose(made.scales(np.arange(4)), np.full(4, mean), rtol=1e-6)
  assert len(np.unique(np.concatenate(asked), axis=0)) == 4


def test_a_passage_that_teaches_little_does_not_make_little_much():
  """Of one passage, most of a question's scale is that of all; of many, its own."""
  made = make_episodes()
  for row, size in ((0, 8.0), (2, 0.5)):
    made.add_sizes(np.array([row]), np.full((1, 2), size))
  count = np.bincount(made.asked[[0, 2]].ravel())
  own = np.where(np.isin(np.arange(len(count)), made.asked[0]), 8, 0.5)
  usual = np.exp(np.log(own).mean())
  share = count / (count + episodes.PRIOR)
  assert share.max() < 0.5
  wanted, met = usual * (own / usual) ** share, np.arange(len(count))
  np.testing.assert_allclose(made.scales(met), wanted, rtol=1e-6)
  assert made.scales(np.array([len(count)])) == pytest.approx(usual)  # not met
  for _ in range(200):
    made.add_sizes(np.array([0, 2]), np.array([[8.0, 8.0], [0.5, 0.5]]))
  np.testing.assert_allclose(made.scales(met), own, rtol=0.05)


def test_scales_go_on_where_they_were(tmp_path, monkeypatch):
  """A batch has the scales that it had: of those before it, and of none after it."""
  batches, asked = np.array([[0], [0], [1], [2]]), []
  whole = scaled(make_episodes(), tmp_path / 'whole', batches, asked)
  wanted = [whole.stack(i).scale for i in range(4)]
  assert len(asked) == 3  # of three episodes
  monkeypatch.setattr(scales, 'SAVE_EVERY', 1)
  cut = scaled(make_episodes(), tmp_path / 'cut', batches, asked)
  cut.measure(3)
  assert len(asked) == 5
  for first in (1, 3):
    again = scaled(make_episodes(), tmp_path / 'cut', batches, asked)
    np.testing.assert_array_equal(again.stack(first).scale, wanted[first])
  assert len(asked) == 6
  np.testing.assert_array_equal(np.concatenate(asked[3:]), np.concatenate(asked[:3]))
  (tmp_path / 'other').mkdir()
  for old, new in (
    ('"3": [', '"3": [0, '),
    ('"3": ', '"-3": '),
    ('"3": ', '"three": '),
    ('{', '['),
  ):
    text = (tmp_path / 'cut' / 'scales.json').read_text().replace(old, new, 1)
    (tmp_path / 'other' / 'scales.json').write_text(text)
    with pytest.raises(InputError, match=r'scales.json .*Remove .* to make it again'):
      scaled(make_episodes(), tmp_path / 'other', batches, asked)


def test_all_scales_of_a_part_are_measured_at_once(tmp_path):
  """Asked to stop, what was measured is kept."""
  batches, asked, stopped = np.array([[2], [0]]), [], Progress()
  stopped.stop.set()
  with pytest.raises(KeyboardInterrupt):
    scaled(make_episodes(), tmp_path, batches, asked, stopped).measure_all(2)
  made = make_episodes()
  scaled(made, tmp_path, batches, asked).measure_all(2)
  assert len(asked) == 2
  assert made.scales(np.array([0])) > 1
