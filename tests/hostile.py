"""A work directory with a text of choice in every string that a report reads."""

import itertools
import json
import os

from tests.runs import row, write

# What would call `{u}` if a page, a figure or a terminal obeyed it.
PAYLOADS = [
  '<script>fetch("{u}");document.title="owned";window.owned=1</script>',
  '"><img src="{u}" onerror="fetch(\'{u}\');document.title=\'owned\'">',
  '\'><svg onload="fetch(\'{u}\')"><script href="{u}"></script></svg>',
  '<a href="javascript:fetch(\'{u}\')" style="background:url({u})" autofocus>x</a>',
  '</script><script>fetch("{u}")</script>',
  '</textarea></title></style></noscript><style>@import url({u});</style>',
  '--><!--<iframe src="{u}"></iframe>--> <![CDATA[<img src={u}>]]> ]]>',
  '<meta http-equiv="refresh" content="0;url={u}"><base href="{u}"><link href="{u}">',
  '\u2028\u2029\u0085*/;fetch("{u}")//',
  '\u202e{u}\u202d \u2067\u2069\u2069 שלום 12',
  '\x00\x1b]8;;{u}\x07link\x1b]8;;\x07\x1b[2J\x9b31m\x7f\b\x0c\ufffe\uffff',
  '${{body}} $hash $$ {{{{7*7}}}} <%= 7 %> {u} $x^2$ \\frac \\u001b',
  ';background:url({u});--p:url({u});}} * {{ background: url({u}) }}',
  '[red][link={u}]x[/link][/] `{u}` [x]({u}) ![x]({u})',
  '&lt;img src={u}&gt; &#x3c;script&#x3e; &quot; & &amp',
  '#1f5fc4 id="x" url(#y) href="#z" width="5pt" <metadata> {u}',
]


def payloads(url='http://127.0.0.1:9'):
  """`text(place)`: another hostile text for each place, with a mark to find it by."""
  kinds = itertools.cycle(PAYLOADS)
  made = {}

  def text(place):
    if place not in made:
      made[place] = f'm{len(made)}m{next(kinds).format(u=f"{url}/{len(made)}")}'
    return made[place]

  return text, made


def harmless():
  """`text(place)` with nothing to obey, and what was made."""
  made = {}
  return lambda place: made.setdefault(place, f'm{len(made)}m'), made


def in_a_path(text):
  """As much of a text as the name of a folder can be, a byte that is no UTF-8 behind.

  No file system has a slash or a NUL in a name; most have no room for 256 bytes.
  """
  name = text.replace('/', '\u2215').replace('\x00', '').encode()[:200]
  return os.fsdecode(name.decode(errors='ignore').encode() + b'\xff')


def results(text):
  """Rows of results.jsonl: two tasks and bases, policies of all roles, a transfer."""
  t, other = text('task'), text('other task')
  same = {'target': text('target'), 'config': text('config'), 'commit': text('commit')}
  scores = {'random': 0.2, 'annotated': 0.9, 'learned': 0.7, 'mine': 0.4}
  rows = [
    row(text(f'policy {name}'), em, seed, **same)
    | {'task': t, 'policy_task': t if name in ('learned', 'annotated') else None}
    for name, em in scores.items()
    for seed in (0, 1)
  ]
  moved = {'task': other, 'policy': text('policy learned')}
  rows += [
    row('', 0.3, **same) | moved | {'policy_task': t},
    row('', 0.6, **same) | moved | {'policy_task': other},
    row('', 0.1, **same) | {'task': t, 'policy': text('policy random')},
  ]
  rows[-1] |= {'base': text('base'), 'commit': text('other commit')}
  rows[-1] |= {'target': text('other target'), 'config': text('other config')}
  rows.append(row('random', 0.25, **same))  # whose folder has the name of a run
  rows[-1]['target'] = 'spans'
  varied = {'setting': t, 'corpus': t, 'exposures': 2.0}
  rows.append(rows[0] | varied)
  rows.append(rows[0] | varied | {'setting': 'x2', 'corpus': 'own'})
  rows[0]['overlaps'] = {text('overlap'): {'em': 0.5, 'n': 4}}
  return rows


def study(text):
  """The content of study.json."""
  roles = ('random', 'reference', 'learned', 'heuristic')
  names = ('random', 'annotated', 'learned', 'mine')
  learned = text('folder of a policy')
  splits = {'train': 9, 'validation': 3, 'test': 4}
  own = {'questions': splits, 'groups': splits, 'kinds': {text('kind'): 4}}
  return {
    'config': text('name of the config'), 'command': text('command'),
    'commit': text('commit of the study'), 'hardware': text('hardware'),
    'started': text('started'), 'seconds': 3.5, 'seeds': [0, 1],
    'tasks': {text('task'): own | {'majority_em': {'test': 0.3}}},
    'corpus': {'name': text('corpus'), 'passages': 3, 'words': 9, 'problems': 1},
    'policies': [
      {'policy': learned, 'seed': 0, 'seconds': 1.0, 'updates': 3,
       'settings': {text('setting'): text('value of a setting')}},
    ],
    'stages': [{'stage': text('stage'), 'policy': text('policy of a stage'),
                'task': text('task of a stage'), 'seconds': 2.0}],
    'display': {
      text(f'policy {name}'): {'title': text(f'title {name}'), 'role': role}
      for name, role in zip(names, roles, strict=True)
    },
  }  # fmt: skip


def masks(text):
  """Rows of masks.jsonl: a passage of each split, the answers marked."""
  rows = []
  for split in ('test', 'train', text('split')):
    body = f'Peru {text(f"passage {split}")} pays'
    cut = len(body) // 2
    rows.append(
      {
        'id': text(f'id {split}'),
        'group': text(f'group {split}'),
        'split': split,
        'text': body,
        'tokens': [[0, 4], [5, cut], [cut, len(body)]],
        'asked': [[5, cut, text(f'label {split}')]],
        'policies': {text('policy learned'): [0, 0.25, 1], text('only here'): [1] * 3},
      }
    )
  return rows


def recall(text):
  """Rows of recall.jsonl."""
  share = {'mean': 0.2, 'low': 0.1, 'high': 0.3}
  same = {'file': text('file'), 'passages': 7, 'n': 12, 'words': 1.5, 'spans': 0.5}
  reference = text('reference of recall')
  return [
    same | {'policy': text('policy of recall'), 'recall': share,
            'above': {reference: share}},
    same | {'policy': reference, 'recall': share, 'above': {}},
  ]  # fmt: skip


def build(folder, text):
  """Writes every file that the report reads, with `text(place)` for each string."""
  write(folder, results(text), masks=masks(text), recall=recall(text))
  (folder / 'study.json').write_text(json.dumps(study(text)), encoding='utf-8')
  losses = [{'step': 0, 'loss': 2.0, 'grad_norm': 1.0}, {'step': 3, 'loss': 1.0}]
  losses[1] |= {text('metric'): text('value of a metric'), 'grad_norm': None}
  precision = [{'step': s, 'validation_answer_precision': s / 9} for s in (0, 3)]
  answer = {
    'id': text('question'), 'input': text('source'),
    'output': [{'answer': text('answer')}],
    'meta': {'targets': [text('answer')], 'label': text('kind')},
  }  # fmt: skip
  task, variant = in_a_path(text('task')), in_a_path(text('variant'))
  for name, lines in (
    (f'policies/{in_a_path(text("folder"))}/0/history', losses),
    (f'policies/{in_a_path(text("other folder"))}/0/history', precision),
    (f'pretrain/{variant}/0/history', losses),
    (f'finetune/{task}/{variant}/0/{in_a_path(text("part"))}/history', losses),
    (f'finetune/{task}/{variant}/0/predictions', [answer]),
    ('finetune/civics/random-spans/0/predictions', [answer]),
  ):
    path = folder / f'{name}.jsonl'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
  return folder
