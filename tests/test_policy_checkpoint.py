"""Directories of policies: what they hold, and what is said of damaged ones."""

import json
import shutil

import jax
import numpy as np
import pytest

from masklearn import data, policies, text
from masklearn.models.sizes import BertConfig
from masklearn.types import InputError, Passage
from tests.small import compiled, moved, slow_case

BODY = 'Oslo is the capital of Norway. They pay in kroner.'
TOKENIZER = text.train_tokenizer([BODY], 280)
NETWORK = {'vocab_size': TOKENIZER.size, 'longest': 3, 'width': 8, 'embedding': 6}
BERT = BertConfig(TOKENIZER.size, 8, 1, 2, 12, 64, bos=0, eos=2)
OPTIONS = {
  'conv': {'encoder': 'conv', 'kernel_size': 3},
  'bilstm': {'encoder': 'bilstm'},
  'bert': {'encoder': 'bert', 'bert': BERT},
}
SPECS = {
  name: policies.describe_policy('learned', 0.2, **NETWORK, **options)
  for name, options in OPTIONS.items()
}
SPECS['salient'] = policies.describe_policy('salient', 0.25, 'corpus', longest=5)
TEXTS = BODY, 'They pay.'
PASSAGES = data.encode_passages([Passage(t, t) for t in TEXTS], TOKENIZER)


def write(directory, name):
  """Saves a policy with parameters that are not those of a fresh one."""
  policy = compiled(policies.make_policy(SPECS[name]))
  theta = moved(policy.init(jax.random.key(1)), 0.3)
  policies.save_policy(directory, SPECS[name], theta, TOKENIZER)
  return policy, theta


def assert_same_scores(found, policy, theta):
  """What was read scores as what was saved, to the bit."""
  scores = compiled(found.policy).scores(found.theta, PASSAGES)
  np.testing.assert_array_equal(scores, policy.scores(theta, PASSAGES))


@pytest.mark.parametrize(
  'name', [n if n not in ('bert', 'bilstm') else slow_case(n) for n in SPECS]
)
def test_a_directory_gives_the_same_scores_to_the_bit(tmp_path, name):
  """Scores, parameters, tokens and what is said of them; moved, it is the same."""
  policy, theta = write(tmp_path / 'a', name)
  shutil.move(tmp_path / 'a', tmp_path / 'b')
  found = policies.load_policy(tmp_path / 'b')
  jax.tree.map(np.testing.assert_array_equal, found.theta, theta)
  assert found.spec == SPECS[name] == json.loads(json.dumps(SPECS[name]))
  assert found.tokenizer.encode(BODY) == TOKENIZER.encode(BODY)
  assert_same_scores(found, policy, theta)
  key = jax.random.key(3)
  given = theta, key, PASSAGES
  ours = compiled(found.policy).draw(found.theta, key, PASSAGES)
  jax.tree.map(np.testing.assert_array_equal, ours, policy.draw(*given))


def test_another_rate_can_be_asked_for(tmp_path):
  """It hides more of the same; the file stays."""
  write(tmp_path / 'a', 'conv')
  found = policies.load_policy(tmp_path / 'a', rate=0.5)
  draw = found.policy.draw(found.theta, jax.random.key(0), PASSAGES)
  assert policies.load_policy(tmp_path / 'a').spec['rate'] == 0.2
  for string, word, mask in zip(TEXTS, PASSAGES.word, draw.mask, strict=True):
    assert len(set(word[mask > 0])) == round(0.5 * len(text.words(string)))


def test_a_directory_that_has_theta_is_completed_once(tmp_path):
  """What policy learning leaves becomes one of these, and is not written again."""
  policy, theta = write(tmp_path / 'a', 'conv')
  for name in ('policy.json', 'tokenizer.json'):
    (tmp_path / 'a' / name).unlink()
  for _ in range(2):
    policies.complete_policy(tmp_path / 'a', SPECS['conv'], TOKENIZER)
    before = (tmp_path / 'a' / 'policy.json').stat().st_mtime_ns
  policies.complete_policy(tmp_path / 'a', {}, TOKENIZER)
  assert (tmp_path / 'a' / 'policy.json').stat().st_mtime_ns == before
  assert_same_scores(policies.load_policy(tmp_path / 'a'), policy, theta)


def test_nothing_is_written_over(tmp_path):
  """A directory that is there stays as it is."""
  (tmp_path / 'a').mkdir()
  (tmp_path / 'a' / 'thesis.tex').write_text('x')
  with pytest.raises(InputError, match='there already'):
    write(tmp_path / 'a', 'salient')
  assert [p.name for p in (tmp_path / 'a').iterdir()] == ['thesis.tex']


@pytest.mark.parametrize('missing', ['policy.json', 'tokenizer.json', 'theta'])
def test_what_is_missing_is_named(tmp_path, missing):
  """Whichever of the three it is."""
  write(tmp_path / 'a', 'conv')
  path = tmp_path / 'a' / missing
  shutil.rmtree(path) if path.is_dir() else path.unlink()
  with pytest.raises(InputError, match=missing):
    policies.load_policy(tmp_path / 'a')


def test_the_directory_above_points_to_the_one_below(tmp_path):
  """WORKDIR/policies holds policies, and is none."""
  write(tmp_path / 'policies' / 'learned-civics' / '0', 'conv')
  with pytest.raises(InputError, match='learned-civics/0'):
    policies.load_policy(tmp_path / 'policies')
  with pytest.raises(InputError, match='does not exist'):
    policies.load_policy(tmp_path / 'nowhere')


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'name': 'learnd'}, 'learned'),
    ({'rate': 1.5}, 'rate=1.5'),
    ({'wdith': 3}, 'wdith'),
    ({'encoder': 'cnov'}, 'conv'),
    ({'vocab_size': 999}, 'vocabulary of 999 tokens'),
    ({'width': 9}, 'does not fit'),
    ({'bert': {'layers': 2}}, 'policy.json'),
    *((c, r'policy\.json cannot be used') for c in ('no', '[]', '{"rate": 1}', '\xff')),
  ],
)
def test_what_does_not_fit_is_said(tmp_path, change, message):
  """A policy.json that somebody edited; text that is no JSON object with a name."""
  write(tmp_path / 'a', 'conv')
  content = change if isinstance(change, str) else json.dumps(SPECS['conv'] | change)
  (tmp_path / 'a' / 'policy.json').write_bytes(content.encode('latin-1'))
  with pytest.raises(InputError, match=message):
    policies.load_policy(tmp_path / 'a')
