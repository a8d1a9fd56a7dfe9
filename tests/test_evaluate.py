"""Answers and scores, and what a policy is said to hide."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from masklearn import data, models, text
from masklearn.evaluation import answering
from masklearn.policies import heuristic, statistics
from masklearn.training import losses
from masklearn.types import Example, MaskDraw
from tests.small import make_batch, make_policy

BATCH = make_batch(
  [[1, 2, 1, 1], [1, 1, 1]], asked=[[(1, 1), (2, 2)], [(0, 1)]], length=6
)


def counts(mask, start):
  """Shares under a policy that always draws the same."""
  draw = MaskDraw(jnp.array(mask, jnp.float32), jnp.array(start, jnp.float32), None)
  policy = heuristic.from_scores(lambda theta, batch: None, 0.5)._replace(
    draw=lambda theta, key, batch: draw._replace(log_prob=jnp.zeros(2))
  )
  return statistics.hidden(policy, {}, jax.random.key(0), BATCH, draws=2, batch_size=2)


def test_shares_of_asked_words_and_spans():
  """Words count one by one; a span only if it begins and ends as an asked one."""
  # The second word of passage 1, whole; the first two words of passage 2.
  found = counts(
    [[0, 1, 1, 0, 0, 0], [1, 1, 0, 0, 0, 0]], [[0, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
  )
  assert found.words == 1.5
  assert found.answer_precision == pytest.approx(2 / 3)
  assert found.span_precision == 0.5
  # Two asked spans that touch, told apart by where they begin.
  found = counts(
    [[0, 1, 1, 1, 1, 0], [1, 0, 0, 0, 0, 0]], [[0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0]]
  )
  assert found.span_precision == 1.0
  # The same words as one span, and half of an asked one.
  found = counts(
    [[0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]], [[0, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]
  )
  assert found.span_precision == 0.0
  found = counts(
    [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]], [[0, 0, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0]]
  )
  assert (found.span_precision, found.answer_precision) == (0.0, 1.0)


def test_probability_is_the_frequency_of_draws():
  """For one word of four, every word is hidden in a quarter of the draws."""
  policy, theta = make_policy('random', 0.25)
  found = statistics.hidden(policy, theta, jax.random.key(0), BATCH, draws=400)
  np.testing.assert_allclose(found.probability[0, :5], 0.25, atol=0.08)
  assert (found.probability[0, 5:] == 0).all()
  assert (found.probability[0, 1] == found.probability[0, 2]).all()


def test_hidden_words_are_counted_once_whatever_fills_a_batch():
  """Three passages in batches of two: budgets are exact, so counts have no noise."""
  three = data.take(BATCH, np.array([0, 1, 0]))
  policy, theta = make_policy('random', 0.5)
  found = statistics.hidden(policy, theta, jax.random.key(0), three, 4, batch_size=2)
  assert found.probability.shape == three.tokens.shape
  assert found.words == pytest.approx((2 + 2 + 2) / 3)
  again = statistics.hidden(policy, theta, jax.random.key(0), three, 4, batch_size=2)
  np.testing.assert_array_equal(found.probability, again.probability)
  # The first passage and the last are drawn anew, and not copies.
  assert (found.probability[0] != found.probability[2]).any()


def test_answers_are_text_and_survive_a_last_batch(tmp_path):
  """Five questions in batches of two give five answers, whatever is beside them."""
  texts = ['what is it', 'who was there then', 'no']
  tokenizer = text.train_tokenizer(texts, 270)
  model = models.make_model(
    'bart', 'tiny', tokenizer.size, tokenizer.specials, width=8, encoder_layers=1,
    decoder_layers=1, encoder_heads=2, decoder_heads=2, init_std=0.8,
  )  # fmt: skip
  params = models.init_params(model, jax.random.key(0))
  examples = [
    Example(str(i), texts[i % 3], (f'answer {i}',), label='kind') for i in range(5)
  ]
  questions = data.encode_examples(examples, tokenizer)
  answers = answering.answer(model, params, questions, tokenizer, 6, batch_size=2)
  alone = answering.answer(
    model, params, data.take(questions, np.array([4])), tokenizer, 6, batch_size=2
  )
  assert len(answers) == 5
  loss = answering.question_loss(model, params, questions, batch_size=2)
  total, weight = losses.make_loss_sums(model)(params, None, questions)
  assert loss == pytest.approx(float((total / weight).mean()), rel=1e-5)
  assert answers[4] == alone[0] == answers[1]
  answering.write_predictions(tmp_path / 'p.jsonl', examples, answers)
  lines = [json.loads(x) for x in (tmp_path / 'p.jsonl').read_text().splitlines()]
  assert [x['output'][0]['answer'] for x in lines] == answers
  assert lines[0]['meta'] == {'targets': ['answer 0'], 'label': 'kind'}


def test_score_is_the_mean_over_questions():
  """EM and F1 as fractions, with the best of several right answers."""
  examples = [
    Example('1', '', ('the euro', 'euros')),
    Example('2', '', ('presidential republic',)),
  ]
  found = answering.score(examples, ['Euros', 'republic'])
  assert found == {'em': 0.5, 'f1': pytest.approx((1 + 2 / 3) / 2), 'n': 2}
