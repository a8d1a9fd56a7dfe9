"""Policies beside each other: gains, rivals, shares, and what is said of them."""

import numpy as np
import pytest

from masklearn.evaluation import contrasts
from masklearn.evaluation.results import StudyRecord
from masklearn.policies import POLICIES
from masklearn.report import comparison, findings, summary
from masklearn.report.workdir import Prediction
from tests.runs import ROWS, gather, result_rows, row

SCORES = {
  'annotated': (0.8, 0.9, 0.85), 'learned': (0.7, 0.8, 0.72),
  'salient': (0.5, 0.45, 0.5), 'random': (0.2, 0.3, 0.22),
  'random_span': (0.4, 0.5, 0.41),
}  # fmt: skip


def rows_of(scores, **changes):
  """Rows of some policies, a score a seed."""
  return [
    row(policy, em, seed, **changes)
    for policy, ems in scores.items()
    for seed, em in enumerate(ems)
  ]


def compared(scores, validation=()):
  """The one comparison of some scores, and all results."""
  results = gather(rows_of(scores))
  rows = rows_of(dict(validation), split='validation')
  return *comparison.compare(results, gather(rows, 'validation')), results


def test_gains_are_over_the_first_random_policy_on_shared_seeds():
  """Not over that with the best or the worst test score, nor on a seed of some."""
  found, _ = compared({**SCORES, 'learned': SCORES['learned'][:2]})
  assert found.random.policy == 'random'
  assert found.seeds == (0, 1)
  assert found.gain == pytest.approx(contrasts.resampled([0.5, 0.5]))
  assert found.share.mean == pytest.approx(0.5 / 0.6)
  assert found.score(found.reference) == pytest.approx(0.85)


def test_the_rival_is_chosen_by_validation():
  """The best there, whatever its test score; neither learned nor told."""
  validation = {'salient': (0.1,), 'random': (0.5,), 'random_span': (0.3,)}
  validation |= {'learned': (0.9,), 'annotated': (0.9,)}
  found, _ = compared(SCORES, validation)
  assert found.rival.policy == 'random'
  found, results = compared(SCORES, validation | {'salient': (0.6,)})
  assert found.rival.policy == 'salient'
  assert found.lead.mean == pytest.approx(np.mean([0.2, 0.35, 0.22]))
  assert 'more than salient spans' in findings.sentence(found, results)
  assert compared(SCORES)[0].rival is None


@pytest.mark.parametrize('missing', ['learned', 'annotated', 'random'])
def test_compare_says_nothing_where_a_policy_is_missing(missing):
  """Nothing without all three, and nothing of seeds that differ."""
  rows = [r for r in ROWS if not r['policy'].startswith(missing)]
  assert comparison.compare(gather(rows)) == []
  rows.append(row(missing, 0.5, seed=7))
  results = gather(rows)
  assert comparison.compare(results) == []
  (text,) = findings.highest(results)
  assert text.startswith('On civics, no policy is clearly above all others')


def test_a_share_needs_three_seeds_and_a_room():
  """Below that the gain is what is printed large."""
  found, results = compared(SCORES)
  assert findings.headline(found) == '82%'
  assert 'learned earns 82% of its gain (77% to 88%)' in findings.sentence(
    found, results
  )
  two = {name: ems[:2] for name, ems in SCORES.items()}
  found, results = compared(two)
  assert findings.headline(found) == '+0.500'
  assert '%' not in findings.sentence(found, results).replace('95%', '')
  found, results = compared({**SCORES, 'annotated': (0.25, 0.2, 0.3)})
  assert findings.headline(found) == '+0.500'
  assert 'little to learn' in findings.sentence(found, results)


def test_one_seed_is_said_to_be_one():
  """With its cost, and without an interval."""
  rows = rows_of({name: ems[:1] for name, ems in SCORES.items()}, learning_seconds=200)
  (found,) = comparison.compare(gather(rows))
  text = findings.sentence(found, gather(rows))
  assert 'an exact match of 0.700, 0.500 more than random tokens. ' in text
  assert 'One seed (0): a demonstration' in text
  assert 'took 3.3 min a seed' in text
  assert '95% interval' not in text


def test_a_difference_says_when_zero_is_not_excluded():
  """And a policy that loses has less."""
  found, results = compared({**SCORES, 'learned': (0.19, 0.4, 0.1)})
  text = findings.sentence(found, results)
  assert '0.010 less than random tokens (95% interval' in text
  assert 'which includes zero' in text


def answers(policy, right):
  """Answers to questions about three groups: for each seed those that are right."""
  return [
    Prediction('civics', f'{policy}-spans', str(seed), f'{g}{i}', '', g,
               'x' if f'{g}{i}' in own else 'y', ('x',))
    for seed, own in enumerate(right) for g in 'abcd' for i in range(2)
  ]  # fmt: skip


def test_questions_are_a_sample_where_their_answers_are_known():
  """One seed has an interval over groups of questions; a frozen test is crossed."""
  rows = result_rows([row('random', 0.2), row('salient', 0.7)])
  said = answers('random', [{'a0'}]) + answers('salient', [{'a0', 'b0', 'b1', 'd1'}])
  results = summary.gather(rows, 'test', POLICIES, {'civics': 0.6}, said)
  by_name = {r.policy: r for r in results}
  found = comparison.gain(by_name['salient'], by_name['random'])
  assert found == pytest.approx(contrasts.crossed([[0.0, 1.0, 0.0, 0.5]]))
  rows += result_rows([row('random', 0.2, 1), row('salient', 0.7, 1)])
  said = answers('random', [{'a0'}, set()])
  said += answers('salient', [{'b0', 'b1', 'd1'}, {'c0'}])
  results = summary.gather(rows, 'test', POLICIES, {'civics': 0.6}, said)
  by_name = {r.policy: r for r in results}
  found = comparison.gain(by_name['salient'], by_name['random'])
  table = [[-0.5, 1.0, 0.0, 0.5], [0.0, 0.0, 0.5, 0.0]]
  assert found == pytest.approx(contrasts.crossed(table))


def test_splits_of_their_own_are_corrected_for_overlap():
  """By the ratio of test to training groups."""
  rows = result_rows(rows_of(SCORES))
  results = summary.gather(rows, 'test', POLICIES, {'civics': 0.6})
  (found,) = comparison.compare(results)
  assert found.gain == pytest.approx(contrasts.resampled([0.5, 0.5, 0.5], 0.6))
  by_name = {r.policy: r for r in results}
  found = comparison.gain(by_name['salient'], by_name['random'])
  assert found == pytest.approx(contrasts.resampled([0.3, 0.15, 0.28], 0.6))


def test_the_highest_is_clearly_above_all_others():
  """Not by a hair, not by luck, and not where all have nothing."""
  assert comparison.best(gather(rows_of(SCORES))).policy == 'learned'
  near = {**SCORES, 'salient': (0.69, 0.81, 0.7)}
  assert comparison.best(gather(rows_of(near))) is None
  zeros = gather(rows_of(dict.fromkeys(SCORES, (0.0, 0.0, 0.0))))
  assert comparison.best(zeros) is None
  assert 'no policy is clearly above' in findings.highest(zeros)[0]
  assert comparison.best(gather(rows_of({'random': (0.1, 0.2)}))) is None


def test_the_highest_is_named_with_its_lead():
  """Over the next, with the interval."""
  rows = rows_of({name: SCORES[name] for name in ('random', 'salient')})
  (text,) = findings.highest(gather(rows))
  assert text.startswith(
    'On civics, salient spans is above all others: 0.243 more than'
  )
  assert findings.highest([]) == ['No results yet.']


def test_the_contrast_of_a_study_is_said_first():
  """A minus B, and whether they are equally good; nothing where one is missing."""
  results = gather(rows_of(SCORES))
  study = StudyRecord(primary=['learned', 'salient'], margin=0.05)
  (text,) = findings.primary(study, results)
  assert 'on civics, learned has 0.257 more than salient spans (95%' in text
  assert 'equally good' not in text
  near = gather(rows_of({**SCORES, 'salient': (0.701, 0.8, 0.719)}))
  (text,) = findings.primary(study, near)
  assert text.endswith('which includes zero); equally good, within 0.05.')
  assert findings.primary(StudyRecord(), results) == []
  assert findings.primary(StudyRecord(primary=['learned', 'mine']), results) == []
