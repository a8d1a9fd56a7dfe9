"""Scores against the rules and the programs of SQuAD, KILT, TriviaQA and ROUGE."""

import json
import random
import sys
import time

import pytest
import rouge
from rouge import rouge_score
from rouge_score import rouge_scorer

from masklearn.evaluation import metrics, subsequences
from masklearn.text import segmentation
from masklearn.types import InputError

TEXT = (
  "the The a an cat cats Cat running run U.S. don't rock’n’roll « » — ... . , ! "
  "snow_white Côte d'Ivoire Ærø 東京 Straße naïve nai\u0308ve 1984 1,984 3.5 I the. A."
)
WORDS = TEXT.split()
ROUGE = ('rouge1', 'rouge2', 'rougeL', 'rougeLsum')


def pairs(seed, count):
  """Returns (prediction, golds) pairs, many of them near misses, some empty."""
  rng = random.Random(seed)

  def phrase(most):
    words = rng.choices(WORDS, k=rng.randint(0, most))
    return rng.choice([' ', '  ', '\t', '\n']).join(words)

  found = []
  for _ in range(count):
    golds = [phrase(5) for _ in range(rng.randint(1, 4))]
    words = rng.choice(golds).split()
    near = ' '.join(rng.sample(words, k=rng.randint(0, len(words))))
    found.append((rng.choice([near, near.upper(), f' {near} ', phrase(5)]), golds))
  return found


@pytest.mark.parametrize(
  ('text', 'normal'),
  [
    ('The Swiss  franc.', 'swiss franc'),
    ('a\tman,\nan Ox & the Sea', 'man ox sea'),
    ('U.S.', 'us'),
    ("Côte d'Ivoire", 'côte divoire'),
    ('Ærø «Å»', 'ærø «å»'),  # only ASCII punctuation is stripped
    ('theatre another bath', 'theatre another bath'),  # articles are whole words
    ('a-b', 'ab'),  # punctuation goes first, so this is no article
    ('The!', ''),
    ('«the» cat', '« » cat'),  # an article between marks that stay leaves them apart
    ('the\u00a0cat', 'cat'),  # a no-break space parts words
    ('İstanbul', 'i̇stanbul'),
    ('', ''),
  ],
)
def test_normalize(text, normal):
  """Case, punctuation, articles and spaces go, everything else stays."""
  assert metrics.normalize(text) == normal


@pytest.mark.parametrize(
  ('prediction', 'targets', 'em', 'f1'),
  [
    ('the Euro', ['euro'], True, 1.0),
    ('euro', ['lira', 'Euro.'], True, 1.0),
    ('swiss franc', ['franc'], False, 2 / 3),
    ('franc franc', ['franc'], False, 2 / 3),  # a word counts as often as it occurs
    ('old swiss franc', ['lira', 'swiss franc', 'franc'], False, 0.8),
    ('Côte', ['Cote'], False, 0.0),
    (' ', ['The'], False, 0.0),  # an empty prediction is wrong, whatever was asked
    ('a', ['The'], True, 0.0),  # F1 has no words to count on either side
    ('euro', ['...'], False, 0.0),
    ('...', ['...'], True, 0.0),
    ('the', ['', ' '], False, 0.0),  # blank answers are no answers
    ('euro', [], False, 0.0),
  ],
)
def test_exact_match_and_f1(prediction, targets, em, f1):
  """The best target counts; nothing on either side never scores in F1."""
  assert metrics.exact_match(prediction, targets) is em
  assert metrics.f1(prediction, targets) == pytest.approx(f1)


@pytest.mark.parametrize(
  ('text', 'normal'),
  [
    ('U.S.', 'u s'),
    ('Snow_White', 'snow white'),
    ('rock’n’roll', 'rock n roll'),
    ('the “Beatles”', '“beatles”'),  # double quotes are not on its list
    ('vitamin-A´s', 'vitamin s'),  # the space makes an article of the letter
    ('...', ''),
  ],
)
def test_trivia_normalization(text, normal):
  """TriviaQA's punctuation parts words, where SQuAD's joins them."""
  assert metrics.normalize_trivia(text) == normal
  assert metrics.normalize_trivia(normal) == normal


def test_trivia_normalization_is_that_of_the_data(shared_data):
  """TriviaQA's own files hold what its authors' program made of each alias."""
  folder = shared_data / 'triviaqa' / 'original_schema'
  count = 0
  for path in sorted(folder.glob('*.json')):
    for record in json.loads(path.read_text(encoding='utf-8'))['Data']:
      answer = record['Answer']
      made = {metrics.normalize_trivia(alias) for alias in answer['Aliases']}
      assert made <= set(answer['NormalizedAliases'])
      value = answer['NormalizedValue']
      assert metrics.normalize_trivia(answer['Value']) == value
      count += len(made)
  assert count > 20


def test_trivia_and_squad_differ_where_punctuation_does():
  """The same pair is right for one official scorer and wrong for the other."""
  em, f1 = metrics.METRICS['trivia_em'], metrics.METRICS['trivia_f1']
  assert em('Snow White', ['Snow_White'])
  assert not metrics.exact_match('Snow White', ['Snow_White'])
  assert not em('US', ['U.S.'])
  assert metrics.exact_match('US', ['U.S.'])
  assert f1('rock roll', ['rock-n-roll']) == pytest.approx(0.8)
  assert em('’', ['rock', '‘']) == f1('', ['‘']) + 1  # both normalize to nothing


@pytest.mark.parametrize(
  ('prediction', 'golds', 'expected'),
  [
    (' Euro\n', ['lira', 'Euro '], True),
    ('euro', ['Euro'], False),
    ('the Euro', ['Euro'], False),
    ('Euro.', ['Euro'], False),
    ('a  b', ['a b'], False),
    (' ', ['\t'], False),
    ('Euro', [], False),
  ],
)
def test_accuracy_normalizes_nothing(prediction, golds, expected):
  """Only white space around an answer does not count."""
  assert metrics.accuracy(prediction, golds) is expected


def kilt_rouge(prediction, golds):
  """KILT's number, from the package and the scorer's own rules for empty texts."""
  scores = [0.0]
  for gold in {gold.strip() for gold in golds} - {''}:
    try:
      found = rouge.Rouge().get_scores(prediction.strip(), gold, avg=True)
    except ValueError:
      continue
    scores.append(found['rouge-l']['f'])
  return max(scores)


def test_rouge_l_is_that_of_kilt():
  """2,000 pairs against the package that KILT's scorer calls, as it calls it."""
  rouge_l, positive = metrics.METRICS['rougeL'], 0
  for prediction, golds in pairs(1, 2_000):
    expected = kilt_rouge(prediction, golds)
    assert rouge_l(prediction, golds) == pytest.approx(expected, abs=1e-9)
    positive += 0 < expected < 0.99
  assert positive > 400


@pytest.mark.parametrize(
  ('prediction', 'golds', 'expected'),
  [
    ('a b c', ['a c'], 0.8),
    ('A c', ['a c'], 0.5),  # case counts
    ('a a a c', ['a c'], 1.0),  # a repeated word does not
    ('U.S', ['S U'], 1.0),  # sentences are matched in any order
    ('a, b', ['a b'], 0.5),
    ('x', ['a', 'x y'], 2 / 3),
    ('.', ['.'], 0.0),  # no sentence at all
    ('...', ['a'], 0.0),
    ('a', ['.'], 0.0),
    ('. .', ['. .'], 1.0),  # one sentence of one empty word
    (' ', [' ', ''], 0.0),
    ('a', [], 0.0),
  ],
)
def test_rouge_l_by_hand(prediction, golds, expected):
  """What KILT's ROUGE-L looks at, and the texts on which its package stumbles."""
  found = metrics.METRICS['rougeL'](prediction, golds)
  assert found == pytest.approx(expected, abs=2e-8)


def test_rouge_l_of_long_texts():
  """20,000 words on either side are a matter of seconds, and leave no traces."""
  before = sys.getrecursionlimit()
  ours = ' '.join(f'x{i}' for i in range(20_000)) + ' end'
  theirs = ' '.join(f'y{i}' for i in range(20_000)) + ' end'
  began = time.monotonic()
  found = metrics.kilt_rouge_l(ours, theirs)
  assert found == pytest.approx(1 / 20_001, abs=1e-8)
  found = metrics.summary_rouge('rougeL', ours, theirs)
  assert found == pytest.approx(1 / 20_001)
  assert time.monotonic() - began < 20
  assert sys.getrecursionlimit() == before


def test_subsequences_are_those_of_both_packages():
  """Random words of few kinds, so that many are equally long: the same is taken."""
  rng = random.Random(7)
  for _ in range(500):
    x, y = ([rng.choice('abcd') for _ in range(rng.randrange(12))] for _ in range(2))
    table = rouge_scorer._lcs_table(x, y)
    assert subsequences.length(x, y) == table[-1][-1]
    theirs = rouge_scorer._backtrack_norec(table, x, y)
    assert subsequences.indices(x, y, shorten_y=False)[::-1] == theirs
    words = {x[i] for i in subsequences.indices(x, y, shorten_y=True)}
    assert words == rouge_score._recon_lcs(x, y)._ngrams
  with pytest.raises(ValueError, match='takes 1,073,741,824 pairs of words at most'):
    subsequences.rows(range(1 << 20), range(1 << 20))


@pytest.mark.parametrize('kind', ROUGE)
def test_rouge_of_summaries_is_that_of_the_package(kind):
  """Pairs of several lines against all kinds at once, the best gold of each kind."""
  scorer = rouge_scorer.RougeScorer(ROUGE, use_stemmer=True)
  positive = 0

  def split(text):  # The package's own way needs a model of nltk's.
    lines = text.split('\n')
    return '\n'.join(x[a:b] for x in lines for a, b in segmentation.sentences(x))

  for prediction, golds in pairs(2, 2_000):
    expected = scorer.score_multi([*map(split, golds)], split(prediction))
    expected = expected[kind].fmeasure
    found = metrics.METRICS[f'summary_{kind}'](prediction, golds)
    assert found == pytest.approx(expected, abs=1e-9)
    positive += expected > 0
  assert positive > 50


def test_rouge_of_summaries_by_hand():
  """Stems match, order counts by sentence in Lsum, and other scripts have no words."""
  summary = {k[8:]: f for k, f in metrics.METRICS.items() if k.startswith('summary_')}
  text, gold = 'The cats ran\nto a home', ['to a home\nthe cat ran']
  assert summary['rouge1'](text, gold) == 1
  assert summary['rougeLsum'](text, gold) == 1
  assert summary['rougeLsum']('To a home. The cats ran.', gold) == 1
  assert summary['rougeL'](text, gold) == pytest.approx(0.5)
  assert summary['rouge2'](text, gold) == pytest.approx(0.8)
  assert summary['rouge1']('東京', ['東京']) == 0
  assert [f('', ['']) for f in summary.values()] == [0, 0, 0, 0]


def test_squad_scores_are_those_of_torchmetrics():
  """2,000 pairs whose normalized forms are not empty; on empty ones it differs."""
  pytest.importorskip('torch', reason='needs the extra `parity`')
  name = 'torchmetrics.functional.text'
  torchmetrics = pytest.importorskip(name, reason='needs the extra `parity`')
  compared = 0
  for prediction, golds in pairs(3, 6_000):
    if compared == 2_000 or not all(map(metrics.normalize, [prediction, *golds])):
      continue
    wanted = {'answers': {'text': golds}, 'id': '1'}
    expected = torchmetrics.squad({'prediction_text': prediction, 'id': '1'}, wanted)
    em, f1 = (float(expected[name]) / 100 for name in ('exact_match', 'f1'))
    assert metrics.exact_match(prediction, golds) == em
    assert metrics.f1(prediction, golds) == pytest.approx(f1, abs=1e-6)
    compared += 1
  assert compared == 2_000


@pytest.mark.parametrize('name', metrics.METRICS)
def test_every_metric_is_a_fraction_of_unordered_golds(name):
  """In [0, 1], whatever the order of the golds, and never less with one more."""
  metric, rng = metrics.METRICS[name], random.Random(4)
  for prediction, golds in pairs(5, 200):
    score = metric(prediction, golds)
    assert 0 <= score <= 1
    assert metric(prediction, rng.sample(golds, len(golds))) == score
    assert metric(prediction, ['', *golds, ' ']) == score
    assert metric(prediction, [*golds, prediction]) >= score
    assert metric('', golds) == metric(' \n', golds) == 0


def test_table_has_a_score_for_each_question():
  """Columns are float64 and in the order of the questions."""
  golds = [['Euro'], ['lira', 'x']]
  found = metrics.table(['euro', 'the lira'], golds, ['accuracy', 'em'])
  assert list(found) == ['accuracy', 'em']
  assert found['em'].tolist() == [1.0, 1.0]
  assert found['accuracy'].tolist() == [0.0, 0.0]
  assert found['em'].dtype == float


def test_an_unknown_metric_names_the_nearest():
  """A slip of the pen is answered with what there is."""
  with pytest.raises(InputError, match="'rougel'; did you mean 'rougeL'"):
    metrics.table([], [], ['rougel'])


def test_a_match_is_a_part_letter_by_letter():
  """Of any gold answer but a blank one, in the prediction as it is."""
  match = metrics.METRICS['match']
  assert match('It was Ada Lovelace, of course.', ['Bell', 'Ada Lovelace'])
  assert match('Adams', ['Ada'])
  assert not match('ada lovelace', ['Ada Lovelace'])
  assert not match('Ada', ['Ada Lovelace'])
  assert not match('', ['', 'Ada'])
  assert not match('x', [' '])
