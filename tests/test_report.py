"""The report: what rows say, and pages that are whole, honest and inert."""

import base64
import dataclasses
import hashlib
import io
import json

import pytest
import rich.console

from experiments import report as main
from masklearn import report
from masklearn.evaluation.results import MaskRow
from masklearn.policies import POLICIES
from masklearn.report import figures, findings, summary, viewer, workdir
from masklearn.report.workdir import Prediction
from masklearn.types import InputError
from tests.runs import HOSTILE, PASSAGE, ROWS, Page, gather, result_rows, row, write


def shown(folder, rows=(), study=None, **files):
  """The page of these files of a work directory."""
  write(folder, rows, **files)
  if study:
    (folder / 'study.json').write_text(json.dumps(study), encoding='utf-8')
  return Page(report.write_report(folder, POLICIES))


def test_gather_puts_the_best_first_and_keeps_sections_apart():
  """One result a policy, sorted by EM within its task and target."""
  rows = [*ROWS, row('random', 0.9, target='full'), row('random', 0.5, task='other')]
  results = gather(rows)
  first, second, third = summary.sections(results).items()
  assert first[0] == ('civics', 'spans', 'tiny')
  names = [r.policy for r in first[1]]
  assert names == ['annotated', 'learned', 'random', 'random_span', 'none']
  assert first[1][2].em == (0.2, 0.4)
  assert second[0] == ('civics', 'full', 'tiny')
  assert third[0] == ('other', 'spans', 'tiny')
  assert gather(rows, 'validation') == []


def test_budgets_must_be_equal(tmp_path):
  """2% more masked words is a fair comparison, 3% is announced as unfair."""
  fair = [*ROWS, row('salient', 0.3, masked_words=5.1)]
  assert all(b.equal for b in summary.budgets(gather(fair)))
  assert findings.cautions(result_rows(fair), gather(fair)) == []
  unfair = [*ROWS, row('salient', 0.3, masked_words=5.15)]
  text = shown(tmp_path, unfair).words
  assert 'Unequal budgets on civics: masked words range from 5.00 to 5.15' in text


def test_updates_need_not_be_equal_where_a_policy_says_so(tmp_path):
  """By a field of its display, whatever its name; words are held to the budget."""
  rows = [*ROWS, row('longer', 0.3, updates=50)]
  entry = {'title': 'more', 'role': 'control'}
  text = shown(tmp_path / 'told', rows, {'display': {'longer': entry}}).words
  assert 'Unequal budgets on civics: updates range from' in text
  entry['equal'] = 'compute'
  text = shown(tmp_path / 'free', rows, {'display': {'longer': entry}}).words
  assert 'Unequal budgets' not in text
  rows[-1]['masked_words'] = 5.15
  text = shown(tmp_path / 'words', rows, {'display': {'longer': entry}}).words
  assert 'Unequal budgets on civics: masked words range from' in text


def test_cautions_name_mixed_commits_and_missing_tests(tmp_path):
  """Rows of two commits, and validation scores, are announced."""
  rows = [row('random', 0.2), row('salient', 0.2, commit='fed4321')]
  rows = [r | {'split': 'validation'} for r in rows]
  text = shown(tmp_path, rows).words
  assert 'different commits: abc1234, fed4321' in text
  assert 'these are validation scores' in text


def test_by_kind_scores_answers_by_label_and_seed():
  """EM per kind of question, one value a seed."""
  said = [('0', 'currency', 'the Euro'), ('0', 'currency', 'x'), ('1', 'currency', 'x')]
  found = summary.by_kind(
    Prediction('civics', 'random-spans', seed, str(i), label, '', answer, ('euro',))
    for i, (seed, label, answer) in enumerate(said)
  )
  assert found == {'civics': {'random-spans': {'currency': (0.5, 0.0)}}}


def test_by_kind_scores_by_the_metric_of_the_task():
  """As far as it is known; and nothing where no question is of any kind."""
  said = [
    Prediction('dyk', 'random-spans', '0', 'a', 'locality', '', 'blue nile', ('nile',))
  ]
  scored = {'random-spans': {'locality': (1.0,)}}
  assert summary.by_kind(said, {'dyk': 'match'}) == {'dyk': scored}
  unscored = {'random-spans': {'locality': (0.0,)}}
  assert summary.by_kind(said, {'dyk': 'magic'}) == {'dyk': unscored}
  assert summary.by_kind([dataclasses.replace(said[0], label='')]) == {}


def test_one_row_is_enough_for_a_report(tmp_path):
  """A run that has just begun is shown as far as it has come."""
  page = shown(tmp_path, [row('random', 0.25)])
  assert page.open == []
  assert 'random tokens 0.250 one seed baseline' in page.words
  assert 'How the policy learned' not in page.words
  assert 'What each policy masks' not in page.words
  names = {path.name for path in (tmp_path / 'report').iterdir()}
  assert names == {'em-civics.svg', 'index.html'}
  assert 'No results yet' in shown(tmp_path).words


def test_transfer_and_validation_and_majority_are_shown(tmp_path):
  """The matrix has both tasks; validation and the majority answer have their place."""
  rows = [
    *ROWS,
    row('learned', 0.6, task='geography'),
    row('learned', 0.35, task='geography', policy_task='civics'),
    row('learned', 0.715, split='validation'),
  ]
  study = {'tasks': {'civics': {'majority_em': {'test': 0.333}}}, 'config': HOSTILE}
  page = shown(tmp_path, rows, study)
  svg = (tmp_path / 'report' / 'transfer-learned-spans-tiny.svg').read_text()
  for text in ('used for', 'learned on civics', '0.75', '0.35', '0.60'):
    assert f'>{text}' in svg
  assert 'learned on civics 0.750 2 seeds 0.350 one seed' in page.words
  assert 'learned on geography – 0.600 one seed' in page.words
  assert 'majority answer 0.333' in page.words
  assert '0.715' in page.words
  assert ' '.join(HOSTILE.split()) in page.words
  results = gather(rows)
  (moved,) = [r for r in results if r.transferred]
  assert moved.name == 'learned on civics'
  assert summary.transfer(results)['learned', 'spans', 'tiny']


def test_scores_are_shown_by_what_training_questions_gave_away(tmp_path):
  """Means over seeds; a kind of overlap that no question has is left out."""
  shared = [
    {'answer_overlap_only': {'em': 0.5, 'n': 4}, 'no_overlap': {'em': em, 'n': 6}}
    for em in (0.25, 0.75)
  ]
  rows = [
    row('random', 0.4, overlaps=shared[0]),
    row('random', 0.6, seed=1, overlaps=shared[1]),
    row('learned', 0.5, overlaps={'no_overlap': {'em': 1.0, 'n': 6}}),
    row('none', 0.1),
  ]
  page = shown(tmp_path, rows)
  assert 'Answer overlap only 8 questions No overlap 12 questions' in page.words
  assert 'random tokens 0.500 0.500' in page.words
  assert 'learned – 1.000' in page.words
  assert 'Question overlap' not in page.words


def test_answers_hidden_are_shown_beside_their_references(tmp_path):
  """A row a policy; the reference itself has no difference; names are escaped."""
  share = {'mean': 0.268, 'low': 0.25, 'high': 0.29}
  rows = [
    {'policy': HOSTILE, 'recall': share, 'above': {'random': share}},
    {'policy': 'random', 'recall': share, 'above': {}},
  ]
  same = {'file': f'{HOSTILE}.json', 'passages': 77, 'n': 1234}
  rows = [same | {'words': 15.5, 'spans': 5.25} | row for row in rows]
  rows.append(rows[1] | {'file': 'other.json', 'words': 9.0})
  page = shown(tmp_path, ROWS, recall=rows)
  assert '0.268 0.250–0.290 +0.268 +0.250 to +0.290 15.50 5.25 1,234' in page.words
  assert 'random tokens 0.268 0.250–0.290 reference 15.50 5.25 1,234' in page.words
  assert 'other.json, 77 passages' in page.words
  assert 'random tokens 0.268 0.250–0.290 9.00' in page.words
  assert ' '.join(HOSTILE.split()) in page.words
  with pytest.raises(InputError, match=r'recall.jsonl:1: missing file'):
    shown(tmp_path, ROWS, recall=[{'policy': 'random'}])


def test_what_policies_found_is_shown_by_seed(tmp_path):
  """Means over the seeds, and every seed, of each kind of learned policy."""
  found = [
    {'policy': 'learned-civics', 'seed': seed, 'seconds': 60.0 * (1 + seed),
     'updates': 30 * (1 + seed), 'answer_precision_before': 0.06, 'span_precision': 0.5,
     'answer_precision': share, 'score': 0.31, 'snr': (3.0, 2.0)[seed],
     'tuning_fall': (0.25, 0.35)[seed],
     'settings': {'relaxation': 'soft', 'J': 1}}
    for seed, share in enumerate((0.9, 0.6))
  ]  # fmt: skip
  page = shown(tmp_path, ROWS, {'policies': found})
  assert 'learned-civics relaxation soft, J 1 2 0.06 0.75 0.90, 0.60 0.50' in page.words
  assert ' 0.50 0.31 2.5 30% 30–60 90 s' in page.words


def test_what_was_measured_before_learning_is_shown(tmp_path):
  """Means over seeds, and the episodes by seed; nothing where nothing was measured."""
  kept = {'sign_agreement': {'0.33': 0.98, '3': 0.9}, 'float32_cosine': 0.97}
  ranks = {'rank_correlation': {'0.33': 0.99, '3': 0.95}}
  found = [
    {'policy': 'learned-civics', 'seed': 0, 'seconds': 1.0, 'updates': 3},
    {'policy': 'learned-civics', 'seed': 1, 'seconds': 1.0, 'updates': 3,
     'start_snr': 0.25, 'noise_scale': 48.2, **kept, **ranks},
    {'policy': 'learned-civics', 'seed': 2, 'seconds': 1.0, 'updates': 3,
     'start_snr': -0.15, 'noise_scale': None},
  ]  # fmt: skip
  page = shown(tmp_path, ROWS, {'policies': found})
  assert 'learned-civics 3 0.05 48 0.98 0.90 0.99 0.95 0.97' in page.words
  page = shown(tmp_path / 'none', ROWS, {'policies': found[:1]})
  assert 'Before learning' not in page.words


def test_terminal_table_shows_the_winner(tmp_path):
  """Best first, the annotated labelled, the finding below; names are not markup."""
  rows = [row(r['policy'], r['em'], r['seed'], task='[red]x') for r in ROWS]
  out = io.StringIO()
  table = report.table(write(tmp_path, rows), POLICIES)
  rich.console.Console(file=out, width=80).print(table)
  lines = out.getvalue().splitlines()
  (place,) = [i for i, line in enumerate(lines) if line.strip() == '[red]x']
  assert 'annotated answers (reference)' in lines[place + 1]
  assert '◀ highest' not in out.getvalue()  # not with two seeds
  assert '0.750' in lines[place + 2]
  assert '0.450 more than random tokens' in ' '.join(out.getvalue().split())


def test_a_terminal_table_breaks_names_and_no_numbers(tmp_path):
  """With the scores on answers that training has not shown, and the cost."""
  overlaps = {'no_overlap': {'em': 0.125, 'n': 8}}
  rows = [
    r | {'task': 'a' * 60, 'overlaps': overlaps, 'learning_seconds': 200.0}
    for r in ROWS
  ]
  out = io.StringIO()
  table = report.table(write(tmp_path, rows), POLICIES)
  rich.console.Console(file=out, width=70).print(table)
  (line,) = [x for x in out.getvalue().splitlines() if 'random tokens' in x][:1]
  numbers = '0.300', '0.00–1.00', '0.125', '2', '3.3', 'min'
  assert tuple(line.split()[-6:]) == numbers


def test_entry_point_writes_and_prints(tmp_path, capsys):
  """`python -m experiments.report` prints the table and where the page is."""
  main.main(write(tmp_path, ROWS))
  printed = capsys.readouterr().out
  assert 'annotated answers (reference)' in printed
  assert str(tmp_path / 'report' / 'index.html') in printed.replace('\n', '')


def test_hostile_text_stays_text(tmp_path):
  """Names, passages and answers are inert, in the page and in its data."""
  names = {'task': HOSTILE, 'config': HOSTILE, 'commit': HOSTILE, 'base': HOSTILE}
  rows = [row(HOSTILE, 0.5) | names, row('random', 0.2) | names]
  page = shown(tmp_path, rows, masks=[PASSAGE])
  assert page.open == []
  data, script = page.scripts
  assert data[0] == {'type': 'application/json', 'id': 'viewer-data'}
  assert script[0] == {}
  assert '<' not in data[1]
  (passage,) = json.loads(data[1])
  assert ''.join(text for text, _, _ in passage['fragments']) == PASSAGE['text']
  assert PASSAGE['text'] in ''.join(page.text)  # readable without the script too
  assert not {'i', 'textarea'} & set(page.tags)


def test_page_is_self_contained_and_runs_only_its_script(tmp_path):
  """Nothing is fetched, and the policy allows one script by its hash."""
  page = shown(tmp_path, ROWS, masks=[PASSAGE])
  for name, value in page.attributes:
    assert not name.startswith('on'), (name, value)
    if name in ('src', 'href', 'xlink:href'):
      assert value.startswith('#'), (name, value)
  ids = [value for name, value in page.attributes if name == 'id']
  assert len(ids) == len(set(ids))
  digest = hashlib.sha256(page.scripts[-1][1].encode()).digest()
  policy = f"script-src 'sha256-{base64.b64encode(digest).decode()}'"
  assert any(policy in value for name, value in page.attributes if name == 'content')


def test_fragments_mark_tokens_and_answers():
  """Cuts are at tokens; a token of no width is left out; the text comes back."""
  found = viewer.fragments(MaskRow.from_json(PASSAGE, 'here'))
  assert ''.join(text for text, _, _ in found) == PASSAGE['text']
  assert [t for _, t, _ in found if t >= 0] == [0, 1, 2, 4]
  assert [text for text, _, asked in found if asked == 0] == ['<script>']


def test_failure_leaves_the_old_report(tmp_path):
  """A bad line is named by file and number and nothing is overwritten."""
  path = report.write_report(write(tmp_path, ROWS), POLICIES)
  before = {p.name: p.read_bytes() for p in path.parent.iterdir()}
  results = tmp_path / 'results.jsonl'
  results.write_text(results.read_text() + '{"em": \n')
  with pytest.raises(InputError, match=r'results\.jsonl:10: not JSON'):
    report.write_report(tmp_path, POLICIES)
  assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before
  assert report.write_report(write(tmp_path, ROWS), POLICIES) == path
  assert {p.name: p.read_bytes() for p in path.parent.iterdir()} == before


def test_a_policy_of_ones_own_has_its_title_and_a_color(tmp_path):
  """study.json says how policies are called; heuristic ones take turns in color."""
  rows = [*ROWS, row('salient', 0.3), row('mine', 0.25)]
  titles = {'salient': 'salient spans', 'mine': 'long $words$'}
  display = {name: {'title': t, 'role': 'heuristic'} for name, t in titles.items()}
  page = shown(tmp_path, rows, {'display': display})
  assert 'long $words$ 0.250 one seed' in page.words
  svg = (tmp_path / 'report' / 'em-civics.svg').read_text()
  assert '>long $words$<' in svg
  colors = figures.policy_colors([], workdir.read(tmp_path, POLICIES).display)
  assert (colors['salient'], colors['mine']) == ('orange', 'ochre')
  assert all(figures.COLORS[colors[name]] in svg for name in ('mine', 'annotated'))


def test_without_roles_names_are_titles(tmp_path):
  """As in a directory of an earlier version: all is shown, and nothing is compared."""
  page = Page(report.write_report(write(tmp_path, ROWS)))
  assert 'random span 0.200' in page.words
  assert 'clearly above all others: annotated 0.850, learned 0.750' in page.words
  assert 'The reference,' not in page.words
  assert 'Unequal budgets' not in page.words


def test_a_policy_is_learned_by_its_role(tmp_path):
  """Whatever it is called: its gain is the headline, beside the best of its kind."""
  names = {'learned': 'ours', 'annotated': 'told'}
  rows = [r | {'policy': names.get(r['policy'], r['policy'])} for r in ROWS]
  display = {
    'ours': {'title': 'own', 'role': 'learned'},
    'told': {'title': 'key', 'role': 'reference'},
  }
  page = shown(tmp_path, rows, {'display': display})
  assert 'the own policy reaches an exact match of 0.750' in page.words
  assert 'The reference, key, hides exactly the spans' in page.words
