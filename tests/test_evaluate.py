"""Answers and their scores."""

import json

import jax
import numpy as np
import pytest

from masklearn import data, models, text
from masklearn.evaluation import answering
from masklearn.training import losses
from masklearn.types import Example


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
  asking = answering.Asking(model, batch_size=2)
  answers = asking.answers(params, questions, tokenizer, 6)
  last = data.take(questions, np.array([4]))
  alone = asking.answers(params, last, tokenizer, 6)
  assert len(answers) == 5
  loss = asking.loss(params, questions)
  total, weight = losses.make_loss_sums(model)(params, None, questions)
  assert loss == pytest.approx(float((total / weight).mean()), rel=1e-5)
  assert answers[4] == alone[0] == answers[1]
  answering.write_predictions(tmp_path / 'p.jsonl', examples, answers)
  lines = [json.loads(x) for x in (tmp_path / 'p.jsonl').read_text().splitlines()]
  assert [x['output'][0]['answer'] for x in lines] == answers
  meta = {'targets': ['answer 0'], 'label': 'kind', 'group': ''}
  assert lines[0]['meta'] == meta


def test_score_is_the_mean_over_questions():
  """EM and F1 as fractions, with the best of several right answers."""
  examples = [
    Example('1', '', ('the euro', 'euros')),
    Example('2', '', ('presidential republic',)),
  ]
  found = answering.score(examples, ['Euros', 'republic'])
  assert found == {'em': 0.5, 'f1': pytest.approx((1 + 2 / 3) / 2), 'n': 2}
