"""Spans of a text -> source and target as text, as the objective writes them in tokens.

  text         Paris is the capital of France.        hidden: Paris, capital of

  bart source  <mask> is the <mask> France.
       spans   <mask> Paris <mask> capital of
       full    Paris is the capital of France.

  t5 source    <extra_id_0> is the <extra_id_1> France.
     spans     <extra_id_0> Paris <extra_id_1> capital of
     full      Paris is the capital of France.

What a model has around them (`<s>`, `</s>`) is left out. What is in `objective` the
ids of tokens is characters here: nothing of a text is lost, not even a double space.
"""

import bisect
import re
from collections.abc import Sequence

import numpy as np

from masklearn.io.lookup import check_name
from masklearn.text import segmentation
from masklearn.training import corruption
from masklearn.types import InputError

SENTINELS = 100  # of T5; a span that comes after as many stays shown
_MARKERS = {'bart': re.compile('<mask>'), 't5': re.compile(r'<extra_id_\d+>')}
FORMATS = tuple(_MARKERS)


def check(form: str, target: str) -> None:
  """Raises `InputError` unless there are such a format and such a target."""
  check_name(FORMATS, form, 'format')
  check_name(corruption.TARGETS, target, 'target')


def marker_in(text: str, form: str) -> str | None:
  """What in a text reads like a marker, so that nobody could restore it; or None."""
  found = _MARKERS[form].search(text)
  return found and found.group()


def spans(
  text: str, offsets: Sequence[tuple[int, int]], mask: np.ndarray, start: np.ndarray
) -> list[tuple[int, int, int, int]]:
  """The hidden spans of a text, in order and without overlap.

  Spaces at their edges are left out. Where a part of a grapheme is hidden (some tokens
  are bytes, and some are accents), all of it is, once.

  Args:
    text: the passage.
    offsets: characters [start, end) of each of its n tokens.
    mask: [n or more] above 0 where a token is hidden.
    start: [n or more] above 0 where a span begins.

  Returns:
    (first character, behind the last, first token, behind the last) of each.
  """
  found: list[list[int]] = []  # tokens [first, behind the last]
  for i in np.flatnonzero(mask[: len(offsets)] > 0).tolist():
    if found and found[-1][1] == i and not start[i] > 0:
      found[-1][1] = i + 1
    else:
      found.append([i, i + 1])
  out, behind = [], 0
  graphemes = segmentation.graphemes(text)
  starts, ends = ([pair[k] for pair in graphemes] for k in (0, 1))
  for first, last in found:
    a, b = max(offsets[first][0], behind), offsets[last - 1][1]
    if a < b and len(graphemes) < len(text):
      a, b = starts[bisect.bisect(starts, a) - 1], ends[bisect.bisect_left(ends, b)]
    hidden = text[a:b]
    a += len(hidden) - len(hidden.lstrip())
    b = a + len(hidden.strip())
    if a < b:
      out.append((a, b, first, last))
      behind = b
  return out


def pair(
  text: str, hidden: Sequence[tuple[int, int]], form: str, target: str
) -> tuple[str, str]:
  """Source and target of a text of which these characters are hidden.

  Args:
    text: the passage.
    hidden: characters [start, end) of each span, in order, without overlap.
    form: 'bart' or 't5'.
    target: 'spans' or 'full'.
  """
  shown, restored, at = [], [], 0
  for number, (start, end) in enumerate(hidden):
    marker = '<mask>' if form == 'bart' else f'<extra_id_{number}>'
    shown += [text[at:start], marker]
    restored.append(f'{marker} {text[start:end]}')
    at = end
  source = ''.join([*shown, text[at:]])
  return source, text if target == 'full' else ' '.join(restored)


def restore(source: str, target: str, form: str) -> str:
  """The text of a pair whose target is 'spans': each marker replaced by its span.

  Raises:
    InputError: source and target have different markers.
  """
  marker = _MARKERS[form]
  if marker.findall(source) != marker.findall(target):
    raise InputError('Source and target must have the same markers in the same order.')
  hidden = iter(part.strip() for part in marker.split(target)[1:])
  return marker.sub(lambda _: next(hidden), source)
