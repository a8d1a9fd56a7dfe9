"""Results and curves -> SVG, drawn once for paper and for light and dark pages."""

import dataclasses
import hashlib
import io
import itertools
import math
import re
import warnings
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from masklearn.evaluation import intervals
from masklearn.evaluation.results import Display
from masklearn.io.visible import one_line, visible
from masklearn.report import curves
from masklearn.report.axes import Axis
from masklearn.report.curves import Panel, Series
from masklearn.report.page import Markup, element, escape
from masklearn.report.summary import Result

# Every color is drawn as a distinct value here and becomes the custom property of
# the same name in the page, which has a second value for the dark. The hues are
# Okabe and Ito's, darkened for thin lines: they differ without color vision.
COLORS = {
  'surface': '#ffffff',
  'ink': '#1a1d21',
  'muted': '#646b75',
  'rule': '#dfe2e6',
  'blue': '#1f5fc4',
  'green': '#00835f',
  'orange': '#c85200',
  'pink': '#a8508a',
  'grey': '#6c747f',
  'sky': '#1f78ab',
  'ochre': '#8f6b00',
}
# Role of a policy -> its color; policies of other roles take turns.
_ROLES = {
  'untrained': 'muted',
  'random': 'grey',
  'control': 'pink',
  'supervised': 'ochre',
  'learned': 'blue',
  'reference': 'green',
}
_TRANSFERRED = 'sky'
_TURNS = ('orange', 'ochre', 'sky', 'pink')
_CYCLE = ('blue', 'orange', 'green', 'pink', 'sky', 'ochre', 'grey')  # of other lines
_STYLE = {
  'svg.fonttype': 'none',  # text stays text: selectable, in the page's font
  'svg.hashsalt': 'masklearn',  # the same rows give the same bytes
  'text.parse_math': False,  # a policy's name may hold a dollar
  'font.family': 'DejaVu Sans',
  'font.size': 9,
}
_LEFT, _RIGHT = 2.15, 0.45  # inches beside the axes of scores
_LONGEST = 32  # characters of a name at the end of a line
_ROOM, _NARROW = 30, 12  # characters beside axes, and above a column
_SLUG = 100  # bytes of a file's name; file systems allow 255


_TAG = re.compile(r'<[^>]*>')  # matplotlib writes < and > of texts as entities


@dataclasses.dataclass(frozen=True)
class Drawing:
  """A figure as a file and for the page."""

  name: str  # of the file, without suffix
  caption: str
  svg: str

  @property
  def inline(self) -> Markup:
    """The SVG for an HTML page, in the page's colors and font."""
    svg = self.svg[self.svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>', '', svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', '', svg, count=2)
    used = set(re.findall(r'#([\w-]+)', ''.join(_TAG.findall(svg))))
    # Tags alone: a name in the text may look like an identifier or a color.
    svg = _TAG.sub(lambda tag: self._of_the_page(tag[0], used), svg)
    label = f'<svg role="img" aria-label="{escape(self.caption)}"'
    return Markup(svg.replace('<svg', label, 1))

  @property
  def html(self) -> Markup:
    """The figure of an HTML page, below its caption."""
    caption = element('figcaption', self.caption)
    return element('figure', caption, self.inline, class_='drawing')

  def _of_the_page(self, tag: str, used: set[str]) -> str:
    """Returns a tag with identifiers and colors that are those of the page."""
    # A page has many figures, and an identifier only one place. Most are not needed.
    tag = re.sub(r' id="([^"]+)"', lambda m: m[0] if m[1] in used else '', tag)
    tag = re.sub(r'( id="|url\(#|href="#)', rf'\g<1>{self.name}-', tag)
    for name, color in COLORS.items():
      tag = tag.replace(color, f'var(--{name})')
    return tag


def policy_colors(
  results: Sequence[Result], display: Mapping[str, Display]
) -> dict[str, str]:
  """Returns the name of the color of each policy, by its role.

  Args:
    results: whose policies are drawn.
    display: the order in which policies take turns.

  >>> policy_colors([], {'salient': Display('salient spans', 'heuristic')})
  {'salient': 'orange'}
  """
  roles = {policy: shown.role for policy, shown in display.items()}
  roles |= {policy: '' for r in results if (policy := r.policy) not in roles}
  turns = itertools.cycle(_TURNS)
  return {p: _ROLES.get(role) or next(turns) for p, role in roles.items()}


@matplotlib.rc_context(_STYLE)
def scores(
  name: str,
  results: Sequence[Result],
  majority: float | None,
  colors: Mapping[str, str],
) -> Drawing:
  """Draws exact match by policy: the mean, its interval, and every seed.

  Args:
    name: of the file.
    results: of one section, from top to bottom.
    majority: exact match of the majority answer, None where it is unknown.
    colors: of the results, by name; see `line_colors`.
  """
  height = 0.36 * len(results) + 0.75
  figure, axes = _axes(5.4, height, _LEFT, _RIGHT, 0.5, 0.25)
  places = list(range(len(results)))
  if majority is not None:
    axes.axvline(majority, color=COLORS['muted'], lw=0.8, ls=(0, (3, 2)), zorder=1)
    axes.annotate(
      'majority answer', (majority, 1), xycoords=('data', 'axes fraction'),
      xytext=(0, 3), textcoords='offset points', color=COLORS['muted'], fontsize=8,
      ha='left' if majority < 0.5 else 'right',
    )  # fmt: skip
  for y, result in zip(places, results, strict=True):
    color = COLORS[colors[result.name]]
    mean, low, high = intervals.student(result.em)
    if not math.isnan(low):
      axes.plot([max(low, 0), min(high, 1)], [y, y], color=color, lw=2, zorder=2)
      axes.plot(
        result.em, [y] * len(result.em), 'o', ms=7, mfc='none', mec=color, mew=0.7,
        alpha=0.6, zorder=3, clip_on=False,
      )  # fmt: skip
    fill = COLORS['surface'] if result.reference else color
    axes.plot(
      [mean], [y], 'o', ms=7, mfc=fill, mec=color, mew=1.8, zorder=4, clip_on=False
    )
    axes.annotate(
      f'{mean:.2f}', (1, y), xycoords=('axes fraction', 'data'), xytext=(9, 0),
      textcoords='offset points', va='center', color=COLORS['ink'],
    )  # fmt: skip
  axes.set(xlim=(0, 1), ylim=(len(results) - 0.5, -0.5), xlabel='exact match')
  notes = [' (reference)' * r.reference for r in results]
  names = [
    one_line(r.name, _ROOM - len(note)) + note
    for r, note in zip(results, notes, strict=True)
  ]
  axes.set_yticks(places, names)
  for label, result in zip(axes.get_yticklabels(), results, strict=True):
    weight = 'bold' if result.learned else 'normal'
    label.set(color=COLORS['ink'], fontweight=weight)
  axes.tick_params(axis='y', pad=9)
  axes.grid(axis='x', color=COLORS['rule'], lw=0.6)
  axes.spines['left'].set_visible(False)
  return _drawing(name, 'Exact match: mean, 95% interval and every seed', figure)


@matplotlib.rc_context(_STYLE)
def heat(name: str, results: Sequence[Result]) -> Drawing:
  """Draws exact match by the task learned on (rows) and the one used for (columns)."""
  used = list(dict.fromkeys(r.task for r in results))
  sources = list(dict.fromkeys(r.policy_task or r.task for r in results))
  width, height = 0.9 * len(used) + _LEFT + _RIGHT, 0.5 * len(sources) + 0.9
  figure, axes = _axes(width, height, _LEFT, _RIGHT, 0.15, 0.75)
  for r in results:
    x, y = used.index(r.task), sources.index(r.policy_task or r.task)
    axes.add_patch(
      Rectangle(
        (x - 0.48, y - 0.46), 0.96, 0.92, fc=COLORS['blue'], lw=0,
        alpha=0.08 + 0.8 * r.mean_em,
      )
    )  # fmt: skip
    axes.text(
      x, y, f'{r.mean_em:.2f}', ha='center', va='center',
      color=COLORS['surface' if r.mean_em > 0.45 else 'ink'],
      fontweight='normal' if r.transferred else 'bold',
    )  # fmt: skip
  axes.set(xlim=(-0.5, len(used) - 0.5), ylim=(len(sources) - 0.5, -0.5))
  axes.set_xticks(
    range(len(used)), [f'used for\n{one_line(task, _NARROW)}' for task in used]
  )
  axes.set_yticks(
    range(len(sources)), [f'learned on {one_line(task, _NARROW)}' for task in sources]
  )
  axes.xaxis.tick_top()
  for spine in axes.spines.values():
    spine.set_visible(False)
  return _drawing(name, 'Exact match by task', figure)


@matplotlib.rc_context(_STYLE)
def lines(panel: Panel, colors: Mapping[str, str]) -> Drawing:
  """Draws the curves of a panel, each named at its end in its color.

  colors: by name of the line; see `line_colors`.
  """
  figure, axes = _axes(4.8, 2.7, 0.45, 1.7, 0.5, 0.15)
  ends = []
  for name, series in panel.lines.items():
    color = COLORS[colors.get(name, 'blue')]
    for seed in series if len(series) > 1 else ():
      axes.plot(*_columns(seed), color=color, lw=0.6, alpha=0.4)
    average = curves.thin(curves.mean(series) or series[0])
    axes.plot(*_columns(average), color=color, lw=1.6)
    ends.append((*average[-1], name, color))
  values = [y for series in panel.lines.values() for s in series for _, y in s]
  if panel.metric.endswith('loss'):
    if min(values) > 0 and max(values) > 20 * min(values):
      axes.set_yscale('log')
      axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
  elif panel.metric.endswith(('precision', 'share')):
    axes.set_ylim(0, 1)
  axes.set_xlabel('updates')
  axes.set_xlim(left=0)
  axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
  axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f'{x:,.0f}'))
  axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f'{y:g}'))
  axes.yaxis.set_minor_formatter(NullFormatter())
  axes.grid(color=COLORS['rule'], lw=0.6)
  _name_ends(axes, ends)
  return _drawing(panel.name, f'{panel.title}: {curves.METRICS[panel.metric]}', figure)


@matplotlib.rc_context(_STYLE)
def along(axis: Axis, colors: Mapping[str, str]) -> Drawing:
  """Draws exact match of each policy along an axis: means, intervals over seeds.

  colors: by name of the policy; see `line_colors`.
  """
  figure, axes = _axes(5.4, 3.2, 0.45, 1.7, 0.5, 0.15)
  axes.set_xscale('log' if axis.logarithmic else 'linear')
  ends, tops = [], []
  for name, found in axis.lines.items():
    color, points = COLORS[colors[name]], []
    for x, result in zip(axis.places, found, strict=True):
      if result:
        mean, low, high = intervals.student(result.em)
        points.append((x, mean))
        if not math.isnan(low):
          axes.plot([x, x], [max(low, 0), min(high, 1)], color=color, lw=1, alpha=0.5)
          tops.append(high)
    axes.plot(*zip(*points, strict=True), 'o-', color=color, lw=1.6, ms=4)
    tops += [y for _, y in points]
    ends.append((*points[-1], name, color))
  if axis.level:
    color, mean = COLORS[colors[axis.level.name]], axis.level.mean_em
    axes.axhline(mean, color=color, lw=1, ls=(0, (3, 2)))
    tops.append(mean)
    ends.append((axis.places[-1], mean, axis.level.name, color))
  axes.set(xlabel=axis.label, ylim=(0, min(1.0, 1.15 * max(tops) + 0.02)))
  first, last = axis.places[0], axis.places[-1]
  margin = (first / 10, last / 10) if axis.logarithmic else (0.3, 0.1)
  axes.set_xlim(first - margin[0], last + margin[1])
  _tick(axes, axis)
  axes.grid(color=COLORS['rule'], lw=0.6)
  _name_ends(axes, ends)
  return _drawing(axis.name, 'Exact match: mean and 95% interval over seeds', figure)


def _tick(axes: Axes, axis: Axis) -> None:
  """Names the places of an axis, but for those too near to the one before."""
  at = axes.transData.transform([(x, 0) for x in axis.places])[:, 0]
  named: list[int] = []
  for i, x in enumerate(at):
    if not named or x - at[named[-1]] > 28 / 72 * axes.figure.dpi:
      named.append(i)
  ticks = [one_line(axis.ticks[i], _NARROW) for i in named]
  axes.set_xticks([axis.places[i] for i in named], ticks)
  axes.xaxis.set_minor_formatter(NullFormatter())


def line_colors(
  panels: Sequence[Panel], results: Sequence[Result], colors: Mapping[str, str]
) -> dict[str, str]:
  """Returns the name of the color of every result and line, by the name of each.

  colors: of the policies, see `policy_colors`.
  """
  known = {r.name: _TRANSFERRED if r.transferred else colors[r.policy] for r in results}
  names = dict.fromkeys(name for panel in panels for name in panel.lines)
  rest = [name for name in names if name not in known and name]
  return known | {name: _CYCLE[i % len(_CYCLE)] for i, name in enumerate(rest)}


def spread(places: Sequence[float], gap: float, high: float) -> list[float]:
  """Returns `places`, in order, moved apart by `gap` or more, below `high` if it fits.

  places: ascending heights of labels; each moves up no more than it must.
  """
  moved = []
  for place in places:
    moved.append(max(place, moved[-1] + gap) if moved else place)
  for i in reversed(range(len(moved))):
    moved[i] = min(moved[i], high - gap * (len(moved) - 1 - i))
  return moved


def _axes(width, height, left, right, bottom, top) -> tuple[Figure, Axes]:
  """Returns a figure in inches and its axes; margins too, so that panels align."""
  figure = Figure(figsize=(width, height), facecolor=COLORS['surface'])
  FigureCanvasSVG(figure)
  size = 1 - (left + right) / width, 1 - (bottom + top) / height
  axes = figure.add_axes((left / width, bottom / height, *size), facecolor='none')
  axes.set_axisbelow(True)
  muted = COLORS['muted']
  axes.tick_params(which='both', length=0, colors=muted, labelcolor=muted)
  axes.xaxis.label.set_color(muted)
  axes.yaxis.label.set_color(muted)
  for side, spine in axes.spines.items():
    spine.set(color=COLORS['rule'], visible=side in ('left', 'bottom'))
  return figure, axes


def _name_ends(axes: Axes, ends: list[tuple[float, float, str, str]]):
  """Writes each line's name beside its end, moved apart where they would touch."""
  box = axes.get_window_extent()
  points = axes.transData.transform([(x, y) for x, y, _, _ in ends])
  order = sorted(range(len(ends)), key=lambda i: points[i][1])
  heights = [(points[i][1] - box.y0) / box.height for i in order]
  gap = 11 / 72 * axes.figure.dpi / box.height  # a line of text
  for i, was, now in zip(order, heights, spread(heights, gap, 1.0), strict=True):
    _, _, name, color = ends[i]
    at = (points[i][0] - box.x0) / box.width
    axes.plot(
      [at, 1.03], [was, now], transform=axes.transAxes, color=color, lw=0.5, alpha=0.6,
      clip_on=False,
    )  # fmt: skip
    axes.text(
      1.04, now, one_line(name, _LONGEST), transform=axes.transAxes, color=color,
      va='center', fontsize=8,
    )  # fmt: skip


def _drawing(name: str, caption: str, figure: Figure) -> Drawing:
  buffer = io.StringIO()
  with warnings.catch_warnings():
    # The reader's fonts draw the text; that ours lack a glyph does not matter.
    warnings.filterwarnings('ignore', message='Glyph .* missing from font')
    figure.savefig(buffer, format='svg', metadata={'Date': None, 'Creator': None})
  return Drawing(_slug(name), caption, visible(buffer.getvalue()))


def _slug(name: str) -> str:
  """Returns what a file may be called, and an identifier.

  >>> _slug('EM <civics>'), len(_slug('é' * 300).encode()) <= _SLUG
  ('em-civics', True)
  """
  slug = re.sub(r'\W+', '-', name.lower()).strip('-')
  if len(slug.encode()) > _SLUG:
    digest = hashlib.sha256(visible(name).encode()).hexdigest()[:8]
    slug = f'{slug.encode()[: _SLUG - 9].decode(errors="ignore")}-{digest}'
  return slug


def _columns(series: Series) -> tuple[list[float], list[float]]:
  points = curves.thin(series)
  return [x for x, _ in points], [y for _, y in points]
