"""Everything a run has recorded -> the sections of its report."""

import dataclasses
import pathlib
from collections.abc import Sequence

from masklearn.report import (
  curves,
  facts,
  figures,
  finding,
  hits,
  learning,
  overlaps,
  records,
  summary,
  tables,
  viewer,
)
from masklearn.report.curves import Panel
from masklearn.report.figures import Drawing
from masklearn.report.markup import Markup, element, join
from masklearn.report.summary import Result

_TITLE = 'Masking policies compared'


@dataclasses.dataclass(frozen=True)
class Run:
  """What a work directory holds, with its figures drawn."""

  rows: list[dict]
  results: list[Result]  # test, or validation where nothing was tested yet
  validation: list[Result]
  study: dict
  kinds: dict  # of summary.by_kind
  passages: list[dict]
  scores: dict[tuple[str, str, str], Drawing]  # by section
  transfers: dict[tuple[str, str, str], Drawing]  # by policy, target and base
  recall: list[dict]
  panels: list[tuple[Panel, Drawing]]
  stalled: list[str]  # policies whose gradient was none

  @property
  def drawings(self) -> list[Drawing]:
    """All figures of the report."""
    panels = [drawing for _, drawing in self.panels]
    return [*self.scores.values(), *self.transfers.values(), *panels]


def read(workdir: pathlib.Path) -> Run:
  """Returns the run in `workdir`, as far as it has come."""
  rows = records.rows(workdir)
  study = records.study(workdir)
  results, validation = chosen(rows)
  histories = records.histories(workdir)
  panels = curves.panels(histories, results)
  colors = figures.line_colors(panels, results)
  scores = {}
  for key, group in summary.sections(results).items():
    place = finding.place(key, results)
    caption = 'Exact match: mean, 95% interval and every seed'
    baseline = majority(study, results).get(key[0])
    scores[key] = figures.scores(f'em {place}', caption, group, baseline)
  return Run(
    rows=rows,
    results=results,
    validation=validation,
    study=study,
    kinds=summary.by_kind(records.predictions(workdir)),
    passages=records.passages(workdir),
    scores=scores,
    transfers={
      key: figures.heat(f'transfer {" ".join(key)}', 'Exact match by task', found)
      for key, found in summary.transfer(results).items()
    },
    recall=records.recall(workdir),
    panels=[(panel, figures.lines(panel, colors)) for panel in panels],
    stalled=learning.cautions(histories),
  )


def chosen(rows: Sequence[dict]) -> tuple[list[Result], list[Result]]:
  """Returns the results to report, of the test split if any, and to show beside."""
  validation = summary.gather(rows, 'validation')
  test = summary.gather(rows, 'test')
  return (test, validation) if test else (validation, [])


def majority(study: dict, results: Sequence[Result]) -> dict[str, float]:
  """Returns the exact match of the majority answer by task, on the results' split."""
  split = results[0].split if results else ''
  tasks = study.get('tasks', {}).items()
  scores = {task: known.get('majority_em', {}).get(split) for task, known in tasks}
  return {task: score for task, score in scores.items() if score is not None}


def title(run: Run) -> str:
  """Returns the title of the report."""
  config = run.study.get('config')
  return f'{_TITLE}: {config}' if config else _TITLE


def html(run: Run) -> Markup:
  """Returns the body of the report."""
  sections = [
    ('results', 'Results', _results(run)),
    ('transfer', 'Transfer', _transfer(run)),
    ('recall', 'Answers hidden', _recall(run)),
    ('learning', 'How the policy learned', _learning(run)),
    ('losses', 'Training curves', _losses(run)),
    ('masks', 'What each policy masks', _masks(run)),
    ('run', 'How this was run', _facts(run)),
  ]
  sections = [
    (name, heading, content) for name, heading, content in sections if content
  ]
  links = [element('a', heading, href=f'#{name}') for name, heading, _ in sections]
  return join(
    _header(run, element('nav', *links, class_='contents', aria_label='Contents')),
    element(
      'main',
      *(
        element('section', element('h2', heading), content, id=name)
        for name, heading, content in sections
      ),
    ),
  )


def _header(run: Run, contents: Markup) -> Markup:
  found = [
    element(
      'div',
      element('b', finding.headline(c)),
      element('p', finding.sentence(c, run.results)),
      class_='finding',
    )
    for c in summary.compare(run.results)
  ]
  if not found:
    found = [element('p', text) for text in finding.highest(run.results)]
  texts = finding.cautions(run.rows, run.results) + run.stalled
  cautions = [element('li', text) for text in texts]
  config = run.study.get('config')
  return element(
    'header',
    element(
      'p', 'masklearn', f' \u00b7 {config}' if config else None, class_='eyebrow'
    ),
    element('h1', _TITLE),
    element('div', *found, class_='findings'),
    element('ul', *cautions, class_='cautions', role='note') if cautions else None,
    contents,
  )


def _results(run: Run) -> Markup | None:
  if not run.results:
    return None
  parts = []
  for key, group in summary.sections(run.results).items():
    task = key[0]
    place = finding.place(key, run.results)
    baseline = majority(run.study, run.results).get(task)
    kinds = tables.kinds(group, run.kinds.get(task, {}))
    shared = overlaps.table(group, run.rows)
    parts += [
      element('h3', place),
      tables.scores(place, group, run.validation, baseline),
      element('p', _provenance(run, group), class_='note'),
      element(
        'div',
        _figure(run.scores[key]),
        kinds and element('div', element('h4', 'EM by kind of question'), kinds),
        class_='pair',
      ),
      shared and element('h4', 'EM by what test questions share with training'),
      shared,
    ]
  introduction = (
    f'Exact match (EM) and F1 on the {run.results[0].split} split, with SQuAD\u2019s'
    ' normalization. A seed sets the split, the base model and every draw, so policies'
    ' are compared seed by seed. Intervals are Student\u2019s t over seeds; those of a'
    ' score are cut to [0, 1]. The oracle is told which spans the task asks about: an'
    ' upper bound, not a competitor.'
  )
  return join(element('p', introduction), parts)


def _provenance(run: Run, group: Sequence[Result]) -> Markup:
  """Returns the seeds, commit and command of a table."""
  seeds = sorted({seed for result in group for seed in result.seeds})
  key = summary.section(group[0])
  rows = [r for r in run.rows if (r['task'], r['target'], r['base']) == key]
  commits = dict.fromkeys(str(row['commit']) for row in rows)
  parts = [
    f'{"Seed" if len(seeds) == 1 else "Seeds"} {", ".join(map(str, seeds))}.',
    f' Commit {", ".join(commits)}.',
  ]
  if command := run.study.get('command'):
    parts += [' ', element('code', command)]
  return join(parts)


def _transfer(run: Run) -> Markup | None:
  parts = []
  for key, learned in summary.transfer(run.results).items():
    policy, target, base = key
    others = [r for r in run.results if (r.target, r.base) == (target, base)]
    place = finding.TARGETS.get(target, target)
    parts += [
      element(
        'h3',
        f'{summary.policy_name(policy)}: {place}',
        f', {base}' if len({r.base for r in run.results}) > 1 else '',
      ),
      element(
        'div',
        _figure(run.transfers[key]),
        tables.transfer(place, learned, others),
        class_='pair',
      ),
    ]
  text = (
    'EM of policies trained on one task (rows) and used for another (columns). Bold:'
    ' the task that the policy was learned on. Means are over each cell\u2019s own'
    ' seeds.'
  )
  return join(element('p', text), parts) if parts else None


def _recall(run: Run) -> Markup | None:
  found = hits.by_file(run.recall)
  text = (
    'How many answers lie wholly within a hidden span, on passages whose questions no'
    ' policy is shown. All hide as many spans and as many words of a passage. The'
    ' intervals are of a bootstrap over passages.'
  )
  return join(element('p', text), found) if found else None


def _learning(run: Run) -> Markup | None:
  drawn = [_figure(d) for panel, d in run.panels if panel.metric in curves.AIMS]
  text = (
    'How much of the mask lies on spans that the task asks about, and how many masks'
    ' are exactly such a span, as the policy is updated. The policy is shown the'
    ' downstream loss alone, never these spans. Thin lines are single seeds.'
  )
  note = (
    'Shares of hidden words, and of hidden spans, on all validation and test passages,'
    ' for the policy of the highest gain on validation questions; 0 updates: no gain'
    ' beyond noise, so the first policy was kept. Learned with: what differs from the'
    ' study’s own policy; those with one more learning rate in their name are'
    ' trials, the best of which on validation the other seeds follow. A gain is the'
    ' mean of arcsinh of what the denoising step lowers a question’s loss by, in'
    ' that question’s unit; units differ between relaxations, so compare gains'
    ' within one. Signal to noise is 1 for nothing but noise.'
  )
  found = learning.learned(run.study)
  parts = []
  if drawn:
    parts += [element('p', text), element('div', drawn, class_='pair')]
  if found:
    parts += [found, element('p', note, class_='note')]
  return join(parts) if parts else None


def _losses(run: Run) -> Markup | None:
  drawn = [_figure(d) for panel, d in run.panels if panel.metric not in curves.AIMS]
  if not drawn:
    return None
  text = 'Means over seeds, with single seeds as thin lines. Losses over a wide range'
  return element(
    'details',
    element('summary', f'{len(drawn)} panels'),
    element('p', f'{text} have a logarithmic axis.', class_='note'),
    element('div', drawn, class_='panels'),
  )


def _masks(run: Run) -> Markup | None:
  return viewer.viewer(run.passages) if run.passages else None


def _facts(run: Run) -> Markup:
  found = [
    ('Data', facts.splits(run.study)),
    ('Budgets', facts.budgets(run.results)),
    ('Time by stage', facts.stages(run.study)),
  ]
  return join(
    facts.overview(run.study, run.rows),
    *((element('h3', heading), table) for heading, table in found if table),
  )


def _figure(drawing: Drawing) -> Markup:
  caption = element('figcaption', drawing.caption)
  return element('figure', caption, drawing.inline, class_='drawing')
