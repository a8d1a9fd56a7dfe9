"""The files of a small run, and its page, for tests of the report."""

import html.parser
import json

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
  knows = policy in ('learned', 'oracle')
  found = {
    'task': task,
    'policy': policy,
    'policy_task': task if knows else None,
    'target': 'spans',
    'base': 'tiny',
    'seed': seed,
    'split': 'test',
    'em': em,
    'f1': em,
    'n': 10,
    'updates': 0 if policy == 'none' else 30,
    'masked_words': 0.0 if policy == 'none' else 5.0,
    'seconds': 2.0,
    'config': 'world:smoke',
    'commit': 'abc1234',
  }
  return found | changes


ROWS = [
  row('random', 0.2),
  row('random', 0.4, seed=1),
  row('random_span', 0.1),
  row('random_span', 0.3, seed=1),
  row('oracle', 0.8),
  row('oracle', 0.9, seed=1),
  row('learned', 0.7),
  row('learned', 0.8, seed=1),
  row('none', 0.1),
]


def result_rows(rows):
  """The rows as they are read."""
  return [ResultRow.from_json(found, 'results.jsonl') for found in rows]


def gather(rows, split='test'):
  """The results of a split, with the roles that our policies have."""
  return summary.gather(result_rows(rows), split, POLICIES)


def write(workdir, rows=(), **files):
  """Writes results.jsonl and other JSON lines; `__` in a name is a slash."""
  files = {'results': rows, **files}
  for name, lines in files.items():
    path = workdir / (name.replace('__', '/') + '.jsonl')
    path.parent.mkdir(parents=True, exist_ok=True)
    text = ''.join(json.dumps(line, ensure_ascii=False) + '\n' for line in lines)
    path.write_text(text, encoding='utf-8')
  return workdir


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
