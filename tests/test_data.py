"""Passages and questions as arrays, and batches that a resumed run repeats."""

import collections
import dataclasses

import jax
import numpy as np
import pytest

from masklearn import data, tasks, text
from masklearn.types import Example, InputError, Passage, Span

Pair = collections.namedtuple('Pair', 'x y')

PASSAGES = [
  Passage('a', 'Oslo is in Norway. They pay kroner.', 'Norway', (Span(0, 4, 'city'),)),
  Passage('b', 'Lima is it.', 'Peru', (Span(0, 4, 'city'), Span(8, 10, 'word'))),
]


@pytest.fixture(scope='module', params=[261, 290])
def tokenizer(request):
  """Bytes alone, where a space is a token, and with some words whole."""
  return text.train_tokenizer([p.text for p in PASSAGES], request.param)


def test_passages_become_tokens_with_words_sentences_and_spans(tokenizer):
  """All tokens of a word share its number; spans are marked from their first."""
  batch = data.encode_passages(PASSAGES, tokenizer, 'corpus', frozenset({'word'}))
  assert batch.tokens.shape[1] % 8 == 0
  for row, passage in enumerate(PASSAGES):
    ids, offsets = tokenizer.encode(passage.text)
    n = len(ids)
    np.testing.assert_array_equal(batch.tokens[row, :n], ids)
    assert batch.valid[row].sum() == n
    words = text.words(passage.text)
    for token, (start, _) in enumerate(offsets):
      first, last = words[batch.word[row, token]]
      assert first <= start < last
  assert set(batch.sentence[0][batch.valid[0]]) == {0, 1}
  firsts = np.flatnonzero(batch.salient[1] == 1)
  assert (firsts[0], len(firsts)) == (0, 2)
  assert batch.word[1][firsts[1]] != batch.word[1][firsts[1] - 1]
  assert (batch.asked[0] == 0).all()
  asked = batch.asked[1] > 0
  assert tokenizer.decode(batch.tokens[1][asked]) == 'it'


def test_salient_spans_that_are_stored_are_used(tokenizer):
  """Nobody looks for them again, and who would have is not even loaded."""
  first = dataclasses.replace(PASSAGES[0], salient=(Span(8, 10, 'x'),))
  second = dataclasses.replace(PASSAGES[1], salient=())
  batch = data.encode_passages([first, second], tokenizer, 'spacy:no_such_model')
  assert tokenizer.decode(batch.tokens[0][batch.salient[0] > 0]) == 'in'
  assert not batch.salient[1].any()
  mixed = data.encode_passages([first, PASSAGES[1]], tokenizer, 'corpus')
  np.testing.assert_array_equal(mixed.salient[0], batch.salient[0])
  assert mixed.salient[1].any()


def test_a_passage_that_is_too_long_is_named(tokenizer):
  """The error says which one, how long it is and what to do."""
  with pytest.raises(InputError, match='reads at most 4'):
    data.encode_passages(PASSAGES, tokenizer, max_length=4)


def test_questions_are_shifted_targets(tokenizer):
  """<s> answer </s>, read behind </s>; padding has no weight."""
  examples = [Example('1', 'Where?', ('Oslo',)), Example('2', 'In?', ('is Lima it',))]
  got = data.encode_examples(examples, tokenizer)
  ids = tokenizer.specials
  assert (got.target[:, 0] == ids.bos).all()
  assert (got.decoder_input[:, 0] == ids.eos).all()
  np.testing.assert_array_equal(got.decoder_input[:, 1:], got.target[:, :-1])
  for row, example in enumerate(examples):
    kept = got.weight[row] > 0
    assert got.target[row][kept][-1] == ids.eos
    assert tokenizer.decode(got.target[row][kept]) == example.targets[0]


def test_long_questions_lose_their_end_and_are_counted(tokenizer, caplog):
  """Both sides, with their marks; what only lends its width is not counted."""
  long = Example('1', 'Where is Oslo and what is it?', ('in it is in it is in it',))
  short = Example('2', 'In?', ('is',))
  got = data.encode_examples([short, long], tokenizer, 6, beside=[long, long])
  ids = tokenizer.specials
  for side in (got.source[1], got.target[1]):
    assert (side[0], side[-1], len(side)) == (ids.bos, ids.eos, 6)
  assert caplog.messages == [
    f'1 of 2 {what} are longer than 6 tokens and lose their end.'
    for what in ('questions', 'answers')
  ]


def test_questions_have_one_shape_in_every_seed(tokenizer):
  """As wide as the widest of a task, not of a split: one program serves all seeds."""
  shapes = set()
  for task in [tasks.load('civics', seed) for seed in (0, 1, 2)]:
    for split in (task.train, task.validation, task.test):
      got = data.encode_examples(split[:9], tokenizer, beside=task.examples)
      shapes.add((len(got.source), got.source.shape, got.target.shape))
      alone = data.encode_examples(split[:9], tokenizer)
      width = alone.source.shape[1]
      np.testing.assert_array_equal(got.source[:, :width], alone.source)
      assert not got.source_valid[:, width:].any()
  assert [rows for rows, *_ in shapes] == [9]


def test_batches_are_a_function_of_their_number():
  """Every epoch holds every row once, in an order of its own."""
  rows = {'x': np.arange(5)}
  first, again = data.batches(rows, 2, 0), data.batches(rows, 2, 0)
  seen = [first[i]['x'] for i in range(10)]
  for i in (7, 3):
    np.testing.assert_array_equal(again[i]['x'], seen[i])
  flat = np.concatenate(seen)
  epochs = [flat[e * 5 : e * 5 + 5].tolist() for e in range(4)]
  assert all(sorted(epoch) == list(range(5)) for epoch in epochs)
  assert len({tuple(epoch) for epoch in epochs}) > 1
  other = data.batches(rows, 2, 1)
  assert any((other[i]['x'] != seen[i]).any() for i in range(5))


def test_take_keeps_the_tree():
  """Rows of every array of a named tuple."""
  tree = Pair(np.arange(4), np.arange(8).reshape(4, 2))
  got = jax.tree.map(np.ndarray.tolist, data.take(tree, np.array([[2, 0, 1]])))
  assert got == Pair([[2, 0, 1]], [[[4, 5], [0, 1], [2, 3]]])
  assert isinstance(got, Pair)


def test_special_tokens_in_questions_and_answers_are_text(tokenizer):
  """A target ends once, where it ends, and can be answered to the letter."""
  answer = 'was <s>10</s> 9 <mask>'
  got = data.encode_examples([Example('1', answer, (answer,))], tokenizer)
  ids = tokenizer.specials
  for row in (got.source[0], got.target[0]):
    inner = [i for i in row.tolist() if i != ids.pad]
    assert (inner[0], inner[-1]) == (ids.bos, ids.eos)
    assert not {*ids[:4]} & {*inner[1:-1]}
    assert tokenizer.decode(row.tolist()) == answer


def test_an_answer_can_be_a_hidden_span():
  """Its marker ends the question and begins the answer, as in a denoising example."""
  tokenizer = text.train_tokenizer(['who is it'] * 9, 400, 't5')
  ids = tokenizer.specials
  examples = [Example('a', 'who', ('it',)), Example('b', 'who is it', ())]
  plain = data.encode_examples(examples, tokenizer, max_length=4)
  hidden = data.encode_examples(examples, tokenizer, max_length=4, hidden=True)
  who, it = (tokenizer.encode(word).ids for word in ('who', 'it'))
  assert len(who) == len(it) == 1
  assert hidden.source[0].tolist() == [*who, ids.mask, ids.eos]
  assert hidden.target[0].tolist() == [ids.mask, *it, ids.eos]
  assert hidden.decoder_input[0].tolist() == [ids.pad, ids.mask, *it]
  # A question that is too long keeps the marker.
  assert hidden.source[1].tolist() == [*who, ids.mask, ids.eos]
  assert plain.source[1].tolist()[1] != ids.mask
