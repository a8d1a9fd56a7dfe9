"""The content of a work directory -> the sections of its report."""

import dataclasses
from collections.abc import Sequence

from masklearn.evaluation import metrics
from masklearn.evaluation.results import StudyRecord
from masklearn.io.visible import isolated
from masklearn.report import (
  along,
  answer_tables,
  axes,
  comparison,
  curves,
  figures,
  findings,
  learning,
  provenance,
  summary,
  tables,
  viewer,
)
from masklearn.report.axes import Axis
from masklearn.report.curves import Panel
from masklearn.report.figures import Drawing
from masklearn.report.page import Markup, element, join
from masklearn.report.summary import Result
from masklearn.report.workdir import Workdir

_TITLE = 'Masking policies compared'
_KEPT = (
  'The loss in nats a token of restoring random spans, the same for all policies, of'
  ' passages that the base model was trained on and intermediate pre-training was not.'
)
_PASSAGES = 1_000  # in the viewer; a study leaves a dozen
_CHECKS = (
  'Before learning, with the initial policy. The signal-to-noise ratio is the squared'
  ' norm of the expected gradient over the variance of an update\u2019s, estimated'
  ' without bias: 0 is nothing but noise, and an estimate may be negative. Where no'
  ' signal was found, no number of episodes is shown. Influences of the same spans are'
  ' compared with those at a third and at three times the inner learning rate: where a'
  ' step is small enough, all keep their sign and their order.'
)


@dataclasses.dataclass(frozen=True)
class Run:
  """What a work directory holds, with its figures drawn."""

  found: Workdir
  results: list[Result]  # test, or validation where nothing was tested yet
  validation: list[Result]
  majority: dict[str, float]  # exact match of the majority answer by task
  kinds: dict  # of summary.by_kind
  scores: dict[tuple[str, str, str], Drawing]  # by section
  transfers: dict[tuple[str, str, str], Drawing]  # by policy, target and base
  exposed: list[tuple[Axis, Drawing]]  # what the number of exposures changes
  corpora: list[tuple[Axis, Drawing]]  # what the corpus of pre-training changes
  panels: list[tuple[Panel, Drawing]]

  @property
  def drawings(self) -> list[Drawing]:
    """All figures of the report."""
    rest = [drawing for _, drawing in (*self.exposed, *self.corpora, *self.panels)]
    return [*self.scores.values(), *self.transfers.values(), *rest]


def draw(found: Workdir) -> Run:
  """Returns the run of a work directory, as far as it has come."""
  results, validation = chosen(found)
  varied = [r for split in results[:1] for r in of_all_settings(found, split.split)]
  panels = curves.panels(found.histories, varied, found.display)
  colors = figures.policy_colors(varied, found.display)
  colors = figures.line_colors(panels, varied, colors)
  majority = majority_scores(found.study, results)
  scores = {}
  for key, group in summary.sections(results).items():
    name = f'em {findings.place(key, results)}'
    scores[key] = figures.scores(name, group, majority.get(key[0]), colors)
  transfers = {
    key: figures.heat(f'transfer {" ".join(key)}', moved)
    for key, moved in summary.transfer(results).items()
  }
  exposed, corpora = (
    [(axis, figures.along(axis, colors)) for axis in found]
    for found in (axes.exposures(varied), axes.corpora(varied))
  )
  drawn = [(panel, figures.lines(panel, colors)) for panel in panels]
  scored_by = {name: task.metric for name, task in found.study.tasks.items()}
  kinds = summary.by_kind(found.predictions, scored_by)
  named = found, results, validation, majority, kinds, scores, transfers
  return _with_names_of_their_own(Run(*named, exposed, corpora, drawn))


def _with_names_of_their_own(run: Run) -> Run:
  """Returns the run with figures of which no two are called alike.

  Names of tasks and policies may differ in what no file's name can hold.
  """
  seen: dict[str, int] = {}

  def rename(drawing: Drawing) -> Drawing:
    count = seen[drawing.name] = seen.get(drawing.name, 0) + 1
    if count == 1:
      return drawing
    return rename(dataclasses.replace(drawing, name=f'{drawing.name}-{count}'))

  return dataclasses.replace(
    run,
    scores={key: rename(drawing) for key, drawing in run.scores.items()},
    transfers={key: rename(drawing) for key, drawing in run.transfers.items()},
    exposed=[(axis, rename(drawing)) for axis, drawing in run.exposed],
    corpora=[(axis, rename(drawing)) for axis, drawing in run.corpora],
    panels=[(panel, rename(drawing)) for panel, drawing in run.panels],
  )


def chosen(found: Workdir) -> tuple[list[Result], list[Result]]:
  """Returns the results to report, of the test split if any, and to show beside.

  Those of the study's main comparison: other settings of pre-training have places of
  their own.
  """
  ratios = {
    name: task.groups['test'] / task.groups['train']
    for name, task in found.study.tasks.items()
    if task.groups.get('train') and 'test' in task.groups
  }
  rows = [row for row in found.rows if not row.setting]
  validation = summary.gather(rows, 'validation', found.display)
  given = rows, 'test', found.display, ratios, found.predictions
  test = summary.gather(*given)
  return (test, validation) if test else (validation, [])


def of_all_settings(found: Workdir, split: str) -> list[Result]:
  """Returns the results of a split in all settings of pre-training."""
  return summary.gather(found.rows, split, found.display)


def majority_scores(study: StudyRecord, results: Sequence[Result]) -> dict[str, float]:
  """Returns the exact match of the majority answer by task, on the results' split."""
  split = results[0].split if results else ''
  return {
    name: task.majority_em[split]
    for name, task in study.tasks.items()
    if split in task.majority_em
  }


def title(run: Run) -> str:
  """Returns the title of the report."""
  config = run.found.study.config
  return f'{_TITLE}: {config}' if config else _TITLE


def html(run: Run) -> Markup:
  """Returns the body of the report."""
  sections = [
    ('results', 'Results', _results(run)),
    ('exposures', 'Exposures', along.exposures(run.exposed)),
    ('corpora', 'Corpora', along.corpora(run.corpora)),
    ('transfer', 'Transfer', _transfer(run)),
    ('recall', 'Answers hidden', _recall(run)),
    ('learning', 'How the policy learned', _learning(run)),
    ('losses', 'Training curves', _losses(run)),
    ('masks', 'What each policy masks', _masks(run)),
    ('run', 'How this was run', _provenance(run)),
  ]
  sections = [section for section in sections if section[2]]
  links = [element('a', heading, href=f'#{name}') for name, heading, _ in sections]
  contents = element('nav', *links, class_='contents', aria_label='Contents')
  parts = [
    element('section', element('h2', heading), content, id=name)
    for name, heading, content in sections
  ]
  return join(_header(run, contents), element('main', *parts))


def _header(run: Run, contents: Markup) -> Markup:
  found = [
    element(
      'div',
      element('b', findings.headline(c)),
      element('p', findings.sentence(c, run.results)),
      class_='finding',
    )
    for c in comparison.compare(run.results, run.validation)
  ]
  chosen = findings.primary(run.found.study, run.results)
  found = [element('p', text) for text in chosen] + found
  if not found:
    found = [element('p', text) for text in findings.highest(run.results)]
  texts = findings.cautions(run.found.rows, run.results)
  texts += learning.cautions(run.found.histories)
  texts += findings.unknown(run.results, run.found.display)
  texts += findings.impossible(run.found.study.impossible, run.found.display)
  texts += findings.left_out(run.found.left_out)
  cautions = [element('li', text) for text in texts]
  config = run.found.study.config
  name = f'masklearn \u00b7 {config}' if config else 'masklearn'
  return element(
    'header',
    element('p', name, class_='eyebrow'),
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
    place = findings.place(key, run.results)
    heading = f'{_metric(run, task)} by kind of question'
    kinds = tables.kinds(group, run.kinds.get(task, {}), heading)
    shared = answer_tables.overlap(group, run.found.rows)
    kept = tables.forgetting(group)
    parts += [
      element('h3', place),
      tables.scores(place, group, run.validation, run.majority.get(task)),
      element('p', _origin(run, group), class_='note'),
      element(
        'div',
        run.scores[key].html,
        kinds and element('div', element('h4', heading), kinds),
        class_='pair',
      ),
      shared and element('h4', 'EM by overlap with the training questions'),
      shared,
      kept and element('h4', 'Forgetting, before fine-tuning'),
      kept,
      kept and element('p', _KEPT, class_='note'),
    ]
  introduction = (
    f'Exact match (EM) and F1 on the {run.results[0].split} split, with SQuAD\u2019s'
    ' normalization. A seed sets the split, the base model and every draw, so policies'
    ' are compared seed by seed. Intervals of scores are Student\u2019s t over seeds,'
    ' cut to [0, 1]; those of differences go over seeds and over what questions are'
    ' about where all seeds have the same test, and are corrected for overlap where'
    ' each seed has its own. \u201cClearly highest\u201d is a policy whose difference'
    ' from every other one excludes zero, adjusted for their number.'
  )
  for title in dict.fromkeys(r.title for r in run.results if r.reference):
    introduction += (
      f' The reference, {isolated(title)}, hides exactly the spans that the task asks'
      ' about: it is no competitor, and no bound.'
    )
  return join(element('p', introduction), parts)


def _metric(run: Run, task: str) -> str:
  """Returns what scores by kind of question are called."""
  known = run.found.study.tasks.get(task)
  name = known.metric if known else 'em'
  return name if name != 'em' and name in metrics.METRICS else 'EM'


def _origin(run: Run, group: Sequence[Result]) -> Markup:
  """Returns the seeds, commit and command of a table."""
  seeds = sorted({seed for result in group for seed in result.seeds})
  key = summary.section(group[0])
  rows = [r for r in run.found.rows if summary.section(r) == key and not r.setting]
  commits = dict.fromkeys(row.commit for row in rows)
  parts = [
    f'{"Seed" if len(seeds) == 1 else "Seeds"} {", ".join(map(str, seeds))}.',
    f' Commit {", ".join(map(isolated, commits))}.',
  ]
  if command := run.found.study.command:
    parts += [' ', element('code', command)]
  return join(parts)


def _transfer(run: Run) -> Markup | None:
  parts = []
  for key, learned in summary.transfer(run.results).items():
    _, target, base = key
    others = [r for r in run.results if (r.target, r.base) == (target, base)]
    place = isolated(findings.TARGETS.get(target, target))
    which = f', {isolated(base)}' if len({r.base for r in run.results}) > 1 else ''
    figure, table = run.transfers[key].html, tables.transfer(place, learned, others)
    parts += [
      element('h3', f'{isolated(learned[0].title)}: {place}{which}'),
      element('div', figure, table, class_='pair'),
    ]
  text = (
    'EM of policies that were learned on one task (rows) and used for another'
    ' (columns). Bold: the task that the policy was learned on. Each cell is a mean'
    ' over its own seeds.'
  )
  return join(element('p', text), parts) if parts else None


def _recall(run: Run) -> Markup | None:
  found = answer_tables.hidden_answers(run.found.recall, run.found.display)
  text = (
    'The share of answers that lie wholly within a hidden span, on passages whose'
    ' questions no policy has seen. All policies hide the same number of spans and of'
    ' words in a passage. Intervals come from a bootstrap over passages.'
  )
  return join(element('p', text), found) if found else None


def _learning(run: Run) -> Markup | None:
  drawn = [d.html for panel, d in run.panels if panel.metric in curves.AIMS]
  text = (
    'Answer precision is the share of masked words that belong to an answer, span'
    ' precision the share of masked spans that are exactly an answer, as the policy is'
    ' updated. A policy learns from the downstream loss alone and never sees these'
    ' spans. Thin lines are single seeds.'
  )
  note = (
    'Precision is measured on all test passages, for the policy with the'
    ' highest gain on validation questions. 0 updates: no gain beyond noise, so the'
    ' initial policy was kept. \u201cLearned with\u201d lists what differs from the'
    ' study\u2019s main policy. Policies with a learning rate in their name are trials;'
    ' the other seeds use the rate that did best on validation. A gain is how much'
    ' the denoising step lowers a question\u2019s loss, relative to a scale of that'
    ' question, on average. The scales depend on the relaxation, so gains can be'
    ' compared only within one. A signal-to-noise ratio of 1 is pure noise. \u201cTuned'
    ' loss\u201d is how much of its loss a question loses by the fine-tuning steps that'
    ' an episode takes on it, on validation before learning: where that is little, such'
    ' steps are no test of fine-tuning.'
  )
  found = learning.learned(run.found.study)
  parts = []
  if drawn:
    parts += [element('p', text), element('div', drawn, class_='pair')]
  if found:
    parts += [found, element('p', note, class_='note')]
  if checks := learning.checks(run.found.study):
    parts += [checks, element('p', _CHECKS, class_='note')]
  return join(parts) if parts else None


def _losses(run: Run) -> Markup | None:
  drawn = [d.html for panel, d in run.panels if panel.metric not in curves.AIMS]
  if not drawn:
    return None
  text = 'Means over seeds, with single seeds as thin lines. Losses with a wide range'
  return element(
    'details',
    element('summary', f'{len(drawn)} panel{"s" * (len(drawn) > 1)}'),
    element('p', f'{text} have a logarithmic axis.', class_='note'),
    element('div', drawn, class_='panels'),
  )


def _masks(run: Run) -> Markup | None:
  passages = run.found.passages
  if not passages:
    return None
  rest = len(passages) - _PASSAGES
  note = f'{rest:,} more passages of masks.jsonl are not shown.'
  return join(
    viewer.viewer(passages[:_PASSAGES], run.found.display),
    element('p', note, class_='note') if rest > 0 else None,
  )


def _provenance(run: Run) -> Markup:
  study = run.found.study
  found = [
    ('Data', provenance.splits(study)),
    ('Budgets', provenance.budgets(run.results)),
    ('Time by stage', provenance.stages(study)),
  ]
  return join(
    provenance.overview(study, run.found.rows),
    *((element('h3', heading), table) for heading, table in found if table),
  )
