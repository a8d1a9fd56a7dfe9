"""Results along an axis: which there are, and how a report shows them."""

import pytest

from masklearn import report
from masklearn.policies import POLICIES
from masklearn.report import axes, summary
from tests.runs import Page, gather, result_rows, row, write


def exposed(policy, em, times, seed=0, **changes):
  """A row of the main comparison, or of a setting."""
  setting = '' if times == 6 else f'x{times}'
  numbers = {'exposures': float(times), 'updates': 5 * times}
  return row(policy, em, seed, setting=setting, **numbers, **changes)


ROWS = [
  exposed('random', 0.3, 6), exposed('random', 0.4, 6, seed=1),
  exposed('learned', 0.7, 6), row('none', 0.1, exposures=0.0),
  exposed('random', 0.1, 2), exposed('random', 0.2, 2, seed=1),
  exposed('learned', 0.8, 10), exposed('random', 0.9, 10, task='other'),
]  # fmt: skip


def test_each_policy_has_a_line_over_the_exposures():
  """The main comparison among them; a section without others has no axis."""
  rows = [*ROWS, row('random', 0.5, task='third', exposures=6.0)]
  (axis, other) = axes.exposures(gather(rows))
  assert (axis.title, other.title) == ('civics', 'other')
  assert axis.places == (2.0, 6.0, 10.0)
  assert axis.ticks == ('2', '6', '10')
  assert axis.notes == ('10 updates', '30 updates, main', '50 updates')
  scores = {name: [r and r.em for r in line] for name, line in axis.lines.items()}
  assert scores == {
    'learned': [None, (0.7,), (0.8,)],
    'random tokens': [(0.1, 0.2), (0.3, 0.4), None],
  }
  assert axis.level.em == (0.1,)


def test_rows_of_earlier_versions_have_no_axis(tmp_path):
  """They do not say how often a passage was seen."""
  old = [row('random', 0.2), row('none', 0.1)]
  assert axes.exposures(gather(old)) == []
  page = Page(report.write_report(write(tmp_path, old), POLICIES))
  assert 'Exposures' not in page.words


def test_of_two_runs_of_the_same_length_the_main_one_counts():
  """Exposures may say once more what the number of updates says."""
  again = exposed('random', 0.9, 6) | {'setting': 'x6'}
  (axis,) = axes.exposures(gather([again, *ROWS[:-1]]))
  assert axis.lines['random tokens'][1].em == (0.3, 0.4)


def test_a_policy_with_updates_of_its_own_is_on_no_axis():
  """What it is compared with has other places."""
  longer = exposed('random_longer', 0.5, 6) | {'exposures': 9.0}
  (axis,) = axes.exposures(gather([longer, *ROWS[:-1]]))
  assert axis.places == (2.0, 6.0, 10.0)


def test_a_report_keeps_other_settings_apart(tmp_path):
  """They change no table of the main comparison; the page and a figure show them."""
  page = Page(report.write_report(write(tmp_path, ROWS), POLICIES))
  assert 'random tokens 0.350 0.00–0.99' in page.words  # in the main table
  assert 'random tokens 0.150 0.00–0.79 0.350 0.00–0.99 – learned' not in page.words
  line = 'random tokens 0.150 0.00–0.79 0.350 0.00–0.99 –'
  assert line in page.words.partition('Exposures')[2]
  svg = (tmp_path / 'report' / 'exposures-civics.svg').read_text()
  for text in ('samples of each passage', 'learned', 'no intermediate stage'):
    assert text in svg
  main = [r for r in result_rows(ROWS) if not r.setting]
  assert len(summary.gather(main, 'test', POLICIES)) == 3


def on(corpus, em, policy='random', **changes):
  """A row of pre-training on a corpus."""
  setting = '' if corpus == 'own' else corpus
  given = {'setting': setting, 'corpus': corpus, 'exposures': 6.0}
  return row(policy, em, **given | changes)


def test_each_policy_has_a_line_over_the_corpora(tmp_path):
  """From unrelated to own; exposures are on another axis, and have none of these."""
  rows = [
    on('own', 0.3), on('mixed', 0.2, exposures=3.0), on('unrelated', 0.1),
    on('own', 0.7, 'learned'), row('none', 0.05), exposed('random', 0.9, 10),
  ]  # fmt: skip
  results = gather(rows)
  (axis,) = axes.corpora(results)
  assert axis.ticks == ('unrelated', 'mixed', 'own')
  assert axis.notes == ('6 samples', '3 samples', '6 samples, main')
  scores = {name: [r and r.em[0] for r in line] for name, line in axis.lines.items()}
  assert scores == {
    'random tokens': [0.1, 0.2, 0.3], 'learned': [None, None, 0.7],
  }  # fmt: skip
  (other,) = axes.exposures(results)
  assert other.places == (6.0, 10.0)
  assert axes.corpora(gather(ROWS)) == []
  page = Page(report.write_report(write(tmp_path, rows), POLICIES))
  assert 'random tokens 0.100 one seed 0.200 one seed 0.300 one seed' in page.words
  svg = (tmp_path / 'report' / 'corpora-civics.svg').read_text()
  assert 'passages of pre-training' in svg


def test_what_was_forgotten_has_tables_of_its_own(tmp_path):
  """Of each section, and along each axis that knows it; without it there are none."""
  known = [
    one | {'kept_loss': 1.25 + more, 'forgotten': more}
    for one, more in zip(ROWS, (0.5, 0.25, 0.125, 0.0, 0.75, 0.5), strict=False)
  ]
  page = Page(report.write_report(write(tmp_path, known), POLICIES))
  assert 'Policy Loss Over the base model learned 1.375 +0.125' in page.words
  assert 'Forgotten, in nats a token' in page.words
  main, _, along = page.words.partition('Forgotten, in nats a token')
  assert 'random tokens 1.625 +0.375' in main
  assert 'learned – +0.125 random tokens +0.625 +0.375' in along
  assert 'no intermediate stage +0.000' in along
  page = Page(report.write_report(write(tmp_path, ROWS), POLICIES))
  assert 'Forg' not in page.words


@pytest.mark.parametrize('count', [1, 9])
def test_ticks_that_would_touch_are_left_out(tmp_path, count):
  """Of places within a letter's width the first is named."""
  near = [exposed('random', 0.2, 1000 + i) for i in range(count)]
  report.write_report(write(tmp_path, [*ROWS[:4], *near]), POLICIES)
  svg = (tmp_path / 'report' / 'exposures-civics.svg').read_text()
  assert svg.count('>1,000<') == 1
