"""Passages with every token shaded by each policy's probability of masking it.

A section of the report, or a page that stands alone.
"""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from masklearn.evaluation.results import Display, MaskRow
from masklearn.io.visible import isolated
from masklearn.report import workdir
from masklearn.report.page import Markup, element, join, json_block, page
from masklearn.types import InputError

_WITHOUT_SCRIPT = 3  # passages that are readable where scripts do not run
_LEGEND = (0.0, 0.05, 0.15, 0.3, 0.6, 1.0)
_SPLITS = ('train', 'validation', 'test')

# [text, index of its token or -1, index of its answer or -1]
Fragment = tuple[str, int, int]


def viewer(passages: Sequence[MaskRow], display: Mapping[str, Display]) -> Markup:
  """Returns the viewer; the first passages are readable without scripts.

  Args:
    passages: to choose from.
    display: how policies are shown.
  """
  present = {p.split for p in passages}
  found = [s for s in _SPLITS if s in present] + sorted(present - {*_SPLITS, ''})
  readable = [_passage(_data(p, display)) for p in _first(passages)]
  rest = _rest(len(passages) - _WITHOUT_SCRIPT)
  browsed = element('div', *readable, rest, class_='passages')
  return element(
    'div',
    _legend(any(p.asked for p in passages)),
    element('div', _controls(found), browsed, class_='browser'),
    element('p', class_='spoken', role='status'),
    json_block('viewer-data', [_data(p, display) for p in passages]),
    class_='viewer',
  )


def masks_page(
  policy: str,
  about: str,
  passages: Sequence[Mapping[str, Any]],
  display: Mapping[str, Any],
) -> str:
  """Returns a page with what one policy hides of some texts.

  Args:
    policy: its name or directory.
    about: what was done, for the line below the title.
    passages: fields of `MaskRow`.
    display: the `title` of policies by name, such as `masklearn.POLICIES`.
  """
  rows = [MaskRow.from_json(row, 'a passage to show') for row in passages]
  name, title = (
    element('p', 'masklearn', class_='eyebrow'),
    f'What {isolated(policy)} masks',
  )
  header = element('header', name, element('h1', title), element('p', about))
  section = element('section', viewer(rows, display), id='masks')
  return page(f'Masks of {policy}', join(header, element('main', section)))


def check(path: str | os.PathLike) -> None:
  """Raises `InputError` if there is a file that `masks_page` did not make."""
  path = pathlib.Path(path)
  try:
    if path.exists() and b'<title>Masks of ' not in path.read_bytes()[:4096]:
      raise InputError(f'{path} is there already, and is not a page of masks.')
  except OSError as error:
    raise InputError(f'{path} cannot be written: {error.strerror}.') from error


def fragments(passage: MaskRow) -> list[Fragment]:
  """Returns the text cut at every token; the fragments together are the text.

  Offsets become fragments here because scripts count UTF-16 units, not characters.
  """
  text, asked = passage.text, passage.asked
  cuts, at = [], 0
  for index, (start, end) in enumerate(passage.tokens):
    # The bytes of one character may be several tokens with the same offsets: the
    # first of them shows it.
    start, end = max(start, at), min(end, len(text))
    if start >= end:
      continue
    if start > at:
      cuts.append((at, start, -1))
    cuts.append((start, end, index))
    at = end
  if at < len(text):
    cuts.append((at, len(text), -1))
  return [
    (text[start:end], token, _asked(asked, start, end, token))
    for start, end, token in cuts
  ]


def _asked(asked: Sequence, start: int, end: int, token: int) -> int:
  """Returns the answer that a token touches, or that a gap lies within."""
  for index, (left, right, *_) in enumerate(asked):
    touches = start < right and left < end
    within = left <= start and end <= right
    if (touches and token >= 0) or within:
      return index
  return -1


def _first(passages: Sequence[MaskRow]) -> list[MaskRow]:
  """Returns a passage of each split where there are several, else the first ones."""
  by_split = {}
  for passage in passages:
    by_split.setdefault(passage.split, passage)
  chosen = sorted(by_split.values(), key=lambda p: p.split != 'test')
  chosen += [p for p in passages if p not in chosen]
  return chosen[:_WITHOUT_SCRIPT]


def _rest(count: int) -> Markup | None:
  if count <= 0:
    return None
  return element('noscript', f'Scripts are off: {count} more passages are not shown.')


def _data(passage: MaskRow, display: Mapping[str, Display]) -> dict[str, Any]:
  """Returns what the script needs of a passage, with names as readers see them."""
  return {
    'id': passage.id,
    'group': passage.group or passage.id,
    'split': passage.split,
    'about': ' \u00b7 '.join(isolated(t) for t in (passage.split, passage.id) if t),
    'fragments': fragments(passage),
    'labels': [span[2] if len(span) > 2 else '' for span in passage.asked],
    'policies': [
      [workdir.title(display, name), [round(p, 3) for p in shares]]
      for name, shares in passage.policies.items()
    ],
  }


def _passage(data: dict) -> Markup:
  """Returns one passage as the script would also build it."""
  heading = element('h3', data['group'], ' ', element('small', data['about']))
  cards = [_card(data, name, shares) for name, shares in data['policies']]
  shown = element('div', *cards, class_='cards')
  return element('article', heading, shown, class_='passage')


def _card(data: dict, name: str, shares: Sequence[float]) -> Markup:
  note = element('small', _note(data, shares))
  caption = element('figcaption', element('b', name), ' ', note)
  text = element('p', *_text(data, shares), class_='text', dir='auto')
  return element('figure', caption, text, class_='card')


def _text(data: dict, shares: Sequence[float]) -> list[Markup | str]:
  parts: list[Markup | str] = []
  span, inside = -1, []
  for text, token, asked in [*data['fragments'], ('', -1, -1)]:
    if asked != span:
      if inside:
        parts.append(element('u', *inside, title=data['labels'][span]))
      span, inside = asked, []
    part = _token(text, shares[token]) if token >= 0 else text
    (inside if asked >= 0 else parts).append(part)
  return parts


def _token(text: str, share: float) -> Markup:
  return element(
    'span', text, class_='t', style=f'--p:{share:.3g}', data_p=f'{share:.2f}'
  )


def _note(data: dict, shares: Sequence[float]) -> str:
  """Returns how much of the policy's mask is on answers."""
  total = sum(shares)
  if not data['labels'] or not total:
    return f'{total:.1f} tokens masked'
  asked = {token for _, token, span in data['fragments'] if span >= 0 and token >= 0}
  return f'{sum(shares[t] for t in asked) / total:.0%} of the mask is on answers'


def _legend(asked: bool) -> Markup:
  shades = [element('span', f'{p:g}', class_='t', style=f'--p:{p:g}') for p in _LEGEND]
  swatches = element('span', *shades, class_='swatches')
  underlined = (' ', element('u', 'an answer that the task asks for')) if asked else ()
  text = 'Probability that a token is masked: '
  return element('p', text, swatches, *underlined, class_='legend')


def _controls(splits: Sequence[str]) -> Markup:
  """Returns the list of passages and its filters, shown once the script runs."""
  choices = [
    element(
      'label',
      element('input', type='radio', name='split', value=value, checked=not value),
      element('span', text),
    )
    for value, text in [('', 'all'), *((s, s) for s in splits)]
  ]
  return element(
    'nav',
    element('fieldset', element('legend', 'Split'), *choices, class_='splits'),
    element(
      'input', type='search', placeholder='Find a passage', aria_label='Find a passage'
    ),
    element('div', class_='list', role='listbox', aria_label='Passages', tabindex=0),
    hidden=True,
    aria_label='Choose a passage',
  )
