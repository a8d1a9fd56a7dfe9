"""Commands, the files of a small run, and its page, for tests of studies."""

import html.parser
import json

import pytest

from experiments import app
from masklearn.evaluation.results import ResultRow
from masklearn.policies import POLICIES
from masklearn.report import summary

VOID = {'meta', 'input', 'br'}
HOSTILE = '<script>alert(1)</script> & "quotes" \'\u2028 $x$ ${y} 🇵🇪 </textarea>'
PASSAGE = {
  'id': 'p<1>',
  'group': HOSTILE,
  'split': 'test',
  'text': f'🇵🇪 Peru pays in {HOSTILE}.',
  'tokens': [[0, 2], [3, 7], [8, 12], [12, 12], [16, 24]],
  'asked': [[16, 24, '"kind">']],
  'policies': {'learned': [0, 0.25, 0, 0, 0.75], '<b>mine</b>': [0.2] * 5},
}


def row(policy, em, seed=0, task='civics', **changes):
  """A row of results.jsonl."""
  knows, masks = policy in ('learned', 'annotated'), policy != 'none'
  return {
    'task': task, 'policy': policy, 'policy_task': task if knows else None,
    'target': 'spans', 'base': 'tiny', 'seed': seed, 'split': 'test', 'em': em,
    'f1': em, 'n': 10, 'updates': 30 * masks, 'masked_words': 5.0 * masks,
    'seconds': 2.0, 'config': 'world:smoke', 'commit': 'abc1234', **changes,
  }  # fmt: skip


ROWS = [
  row(policy, em, seed)
  for policy, scores in (
    ('random', (0.2, 0.4)), ('random_span', (0.1, 0.3)), ('annotated', (0.8, 0.9)),
    ('learned', (0.7, 0.8)), ('none', (0.1,)),
  )
  for seed, em in enumerate(scores)
]  # fmt: skip


def result_rows(rows):
  """The rows as they are read."""
  return [ResultRow.from_json(found, 'results.jsonl') for found in rows]


def gather(rows, split='test'):
  """The results of a split, with the roles that our policies have."""
  return summary.gather(result_rows(rows), split, POLICIES)


def write(workdir, rows=(), **files):
  """Writes results.jsonl and other JSON lines; `__` in a name is a slash."""
  for name, lines in {'results': rows, **files}.items():
    path = workdir / (name.replace('__', '/') + '.jsonl')
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ''.join(json.dumps(line, ensure_ascii=False) + '\n' for line in lines)
    path.write_text(text, encoding='utf-8')
  return workdir


def command(main, *arguments):
  """The exit code of a main on a command line."""
  with pytest.raises(SystemExit) as end:
    app.run(main, ['command', *map(str, arguments)])
  return end.value.code


class Page(html.parser.HTMLParser):
  """What a browser would make of a page: text, scripts and attributes."""

  def __init__(self, path):
    super().__init__()
    self.open, self.text, self.scripts, self.tags, self.attributes = [], [], [], [], []
    self.feed(path.read_text(encoding='utf-8'))
    self.close()

  def handle_starttag(self, tag, attributes):
    """Notes the element; scripts with their attributes."""
    self.tags.append(tag)
    self.attributes += attributes
    if tag == 'script':
      self.scripts.append([dict(attributes), ''])
    if tag not in VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    """Every end belongs to the element that was opened last."""
    assert self.open.pop() == tag

  def handle_data(self, data):
    """Keeps scripts apart from what can be read."""
    if self.open and self.open[-1] == 'script':
      self.scripts[-1][1] += data
    elif self.open and self.open[-1] != 'style':
      self.text.append(data)

  @property
  def words(self):
    """The text with single spaces."""
    return ' '.join(' '.join(self.text).split())
